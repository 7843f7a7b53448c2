// One end of an HTTP/2 connection as a script: send these frames, expect that one. Clients and servers of the tests are made of it.
//
// It keeps no rules: it sends what the test builds (h2-frames.ts) and hands over what came. Unless told otherwise it is polite where
// silence would stop the other side: it acknowledges SETTINGS and answers PING. It gives credit only with `credit: true`. Every
// expectation waits for an event, has a deadline, and fails with the frames that came instead.

import { once } from "node:events";
import type { Duplex } from "node:stream";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  describeFrame,
  ErrorCode,
  errorCodeOf,
  errorName,
  Flag,
  type Frame,
  FrameSplitter,
  FrameType,
  PREFACE,
  ping,
  Setting,
  settings,
  settingsAck,
  windowUpdate,
} from "./h2-frames.ts";
import { type Fields, HpackDecoder } from "./h2-hpack.ts";
import { DEADLINE_MS, within } from "./wait.ts";

/** A received frame; the one that ends a header block carries its fields. */
export interface Received extends Frame {
  readonly fields: Fields | null;
}

export interface PeerOptions {
  /** Acknowledges SETTINGS and answers PING by itself; on unless false. */
  readonly polite?: boolean;
  /** Gives back the credit of every DATA frame at once. */
  readonly credit?: boolean;
  /** Which frames wait to be taken; all unless said otherwise. A flood's answers are better counted than kept. */
  readonly keep?: (received: Received) => boolean;
  /** Longest wait of an expectation. */
  readonly deadlineMs?: number;
}

export interface ConnectOptions extends PeerOptions {
  readonly port: number;
  readonly host?: string;
  /** TLS with ALPN `h2`; the certificate is not checked. */
  readonly tls?: boolean;
}

type Pairs = readonly (readonly [id: number, value: number])[];

/** How many of the last frames a failed expectation names. */
const CONTEXT_FRAMES = 12;

export class H2Peer {
  readonly socket: Duplex;
  readonly deadlineMs: number;
  /** The peer's SETTINGS so far, by identifier. */
  readonly remoteSettings = new Map<number, number>();
  /** What WINDOW_UPDATE frames for the connection have added to its 65,535 bytes so far. */
  connectionCredit = 0;
  /** The connection is gone, and by which error. */
  isClosed = false;
  error: Error | null = null;
  /** Frames received in all, by type. */
  readonly counts = new Map<number, number>();
  readonly #options: PeerOptions;
  readonly #splitter = new FrameSplitter();
  readonly #decoder = new HpackDecoder();
  /** Frames that nobody has taken yet. */
  #queue: Received[] = [];
  readonly #lately: string[] = [];
  #block: Buffer[] = [];
  /** What is still missing of the client's preface; empty for a client. */
  #prefaceLeft: Buffer;
  readonly #waiting = new Set<() => void>();

  constructor(socket: Duplex, role: "client" | "server", options: PeerOptions = {}) {
    this.socket = socket;
    this.#options = options;
    this.deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    this.#prefaceLeft = role === "server" ? PREFACE : Buffer.alloc(0);
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("error", (error: Error) => {
      this.error ??= error;
    });
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.isClosed = true;
        this.#notify();
      });
    }
  }

  /** A client's connection, before the preface. */
  static async connect(options: ConnectOptions): Promise<H2Peer> {
    const { port, host = "127.0.0.1" } = options;
    const socket = options.tls
      ? connectTls({ port, host, ALPNProtocols: ["h2"], rejectUnauthorized: false })
      : connectTcp({ port, host, noDelay: true });
    const peer = new H2Peer(socket, "client", options);
    await within(`a connection to ${host}:${port}`, once(socket, options.tls ? "secureConnect" : "connect"), peer.deadlineMs);
    return peer;
  }

  /** A client's connection whose SETTINGS are exchanged and acknowledged both ways. */
  static async open(options: ConnectOptions, pairs: Pairs = []): Promise<H2Peer> {
    const peer = await H2Peer.connect(options);
    await peer.handshake(pairs);
    return peer;
  }

  /** The client's preface and SETTINGS, until both sides have acknowledged. */
  async handshake(pairs: Pairs = []): Promise<void> {
    this.send(PREFACE, settings(...pairs));
    await this.expectSettings();
    await this.expectSettingsAck();
  }

  /** The server's half of it. */
  async accept(pairs: Pairs = []): Promise<void> {
    this.send(settings(...pairs));
    await this.expectSettings();
  }

  /** Writes the frames at once. False: the kernel's buffer is full (see `drained`). */
  send(...frames: readonly (Buffer | string)[]): boolean {
    if (this.socket.destroyed || this.socket.writableEnded) return false;
    return this.socket.write(Buffer.concat(frames.map((bytes) => (typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes))));
  }

  /** Resolves when the kernel has taken everything, or when the connection is gone. */
  async drained(): Promise<void> {
    while (this.socket.writableNeedDrain && !this.isClosed) {
      await new Promise<void>((resolve) => {
        const settle = (): void => {
          for (const event of ["drain", "close", "error"]) this.socket.off(event, settle);
          resolve();
        };
        for (const event of ["drain", "close", "error"]) this.socket.on(event, settle);
      });
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Holds the other side's encoder to our SETTINGS_HEADER_TABLE_SIZE; call it once the SETTINGS are acknowledged. */
  allowTable(bytes: number): void {
    this.#decoder.allow(bytes);
  }

  /** Takes frames until one passes; those before are dropped. */
  async expect(what: string, accepts: (received: Received) => boolean, deadlineMs = this.deadlineMs): Promise<Received> {
    for (;;) {
      const received = await this.next(what, deadlineMs);
      if (received === null) throw new Error(`closed (${this.error?.message ?? "FIN"}) while waiting for ${what}; ${this.#context()}`);
      if (accepts(received)) return received;
    }
  }

  /** The next frame, or null when the connection is closed behind the last one. */
  async next(what = "a frame", deadlineMs = this.deadlineMs): Promise<Received | null> {
    const isLate = await this.#until(() => this.#queue.length > 0 || this.isClosed, deadlineMs);
    if (isLate) throw new Error(`waited ${deadlineMs} ms for ${what}; ${this.#context()}`);
    return this.#queue.shift() ?? null;
  }

  expectType(type: number, streamId?: number): Promise<Received> {
    const name = Object.entries(FrameType).find(([, number]) => number === type)?.[0];
    return this.expect(
      `${name}${streamId === undefined ? "" : ` on stream ${streamId}`}`,
      (received) => received.type === type && (streamId === undefined || received.streamId === streamId),
    );
  }

  expectSettings(): Promise<Received> {
    return this.expect("SETTINGS", ({ type, flags }) => type === FrameType.SETTINGS && (flags & Flag.ACK) === 0);
  }

  expectSettingsAck(): Promise<Received> {
    return this.expect("SETTINGS with ACK", ({ type, flags }) => type === FrameType.SETTINGS && (flags & Flag.ACK) !== 0);
  }

  expectPingAck(opaque: string): Promise<Received> {
    return this.expect(
      `PING with ACK and ${JSON.stringify(opaque)}`,
      ({ type, flags, payload }) => type === FrameType.PING && (flags & Flag.ACK) !== 0 && payload.toString("latin1") === opaque,
    );
  }

  /** The header block (response head, request head or trailers) that ends next on this stream, with its fields. */
  async expectHeaders(streamId?: number): Promise<Received & { readonly fields: Fields }> {
    const received = await this.expect(
      `a header block${streamId === undefined ? "" : ` on stream ${streamId}`}`,
      ({ fields, streamId: stream }) => fields !== null && (streamId === undefined || stream === streamId),
    );
    return received as Received & { readonly fields: Fields };
  }

  async expectReset(streamId: number, code: number): Promise<void> {
    const received = await this.expectType(FrameType.RST_STREAM, streamId);
    if (errorCodeOf(received) !== code) throw new Error(`expected ${errorName(code)}, got ${describeFrame(received)}`);
  }

  async expectGoaway(code: number = ErrorCode.NO_ERROR): Promise<Received> {
    const received = await this.expectType(FrameType.GOAWAY);
    if (errorCodeOf(received) !== code) throw new Error(`expected ${errorName(code)}, got ${describeFrame(received)}`);
    return received;
  }

  /** The connection ends, whatever frames come before. */
  async expectClosed(deadlineMs = this.deadlineMs): Promise<void> {
    const isLate = await this.#until(() => this.isClosed, deadlineMs);
    if (isLate) throw new Error(`waited ${deadlineMs} ms for the close; ${this.#context()}`);
  }

  count(type: number): number {
    return this.counts.get(type) ?? 0;
  }

  /** Everything that came and nobody took. */
  takeAll(): Received[] {
    return this.#queue.splice(0);
  }

  /** Waits for an event that makes `condition` true; true when the deadline came first. */
  async #until(condition: () => boolean, deadlineMs: number): Promise<boolean> {
    const end = performance.now() + deadlineMs;
    while (!condition()) {
      const leftMs = end - performance.now();
      if (leftMs <= 0) return true;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, leftMs);
        this.#waiting.add(wake);
      });
    }
    return false;
  }

  #receive(bytes: Buffer): void {
    let rest = bytes;
    if (this.#prefaceLeft.length > 0) {
      const size = Math.min(rest.length, this.#prefaceLeft.length);
      if (rest.compare(this.#prefaceLeft, 0, size, 0, size) !== 0) {
        this.socket.destroy(new Error("this is not the preface of HTTP/2 (RFC 9113 3.4)"));
        return;
      }
      this.#prefaceLeft = this.#prefaceLeft.subarray(size);
      rest = rest.subarray(size);
    }
    for (const received of this.#splitter.push(rest)) this.#take(received);
    this.#notify();
  }

  #take(received: Frame): void {
    this.counts.set(received.type, this.count(received.type) + 1);
    this.#lately.push(describeFrame(received));
    if (this.#lately.length > CONTEXT_FRAMES) this.#lately.shift();
    let fields: Fields | null = null;
    try {
      fields = this.#fieldsOf(received);
    } catch (error) {
      this.socket.destroy(error as Error);
      return;
    }
    if (this.#options.polite !== false) this.#answer(received);
    if (received.type === FrameType.SETTINGS) this.#remember(received);
    if (received.type === FrameType.WINDOW_UPDATE && received.streamId === 0) this.connectionCredit += received.payload.readUInt32BE();
    if (this.#options.credit && received.type === FrameType.DATA && received.payload.length > 0) {
      this.send(windowUpdate(0, received.payload.length), windowUpdate(received.streamId, received.payload.length));
    }
    const whole = { ...received, fields };
    if (this.#options.keep?.(whole) ?? true) this.#queue.push(whole);
  }

  #fieldsOf(received: Frame): Fields | null {
    const { type, flags, payload } = received;
    if (type !== FrameType.HEADERS && type !== FrameType.CONTINUATION) return null;
    let from = 0;
    let to = payload.length;
    if (type === FrameType.HEADERS) {
      this.#block = [];
      if ((flags & Flag.PADDED) !== 0) {
        to -= payload[0]!;
        from += 1;
      }
      if ((flags & Flag.PRIORITY) !== 0) from += 5;
    }
    this.#block.push(payload.subarray(from, to));
    return (flags & Flag.END_HEADERS) === 0 ? null : this.#decoder.decode(Buffer.concat(this.#block));
  }

  #answer({ type, flags, payload }: Frame): void {
    if ((flags & Flag.ACK) !== 0) return;
    if (type === FrameType.SETTINGS) this.send(settingsAck());
    if (type === FrameType.PING) this.send(ping(payload.toString("latin1"), { ack: true }));
  }

  #remember({ flags, payload }: Frame): void {
    if ((flags & Flag.ACK) !== 0) return;
    for (let at = 0; at + 6 <= payload.length; at += 6) this.remoteSettings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }

  /** Streams that the other side allows at the same time; Infinity when it set no limit. */
  get streamsAllowed(): number {
    return this.remoteSettings.get(Setting.MAX_CONCURRENT_STREAMS) ?? Number.POSITIVE_INFINITY;
  }

  #notify(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #context(): string {
    return this.#lately.length === 0 ? "no frame came" : `the last frames were ${this.#lately.join(", ")}`;
  }
}
