// One end of a TCP connection as a script: send this, expect that, half-close, reset, stop reading.
//
// Clients and origins of the tests are both made of it. Every expectation has a deadline and fails with what came instead.

import type { Socket } from "node:net";
import { type Message, MessageReader, type ReadOptions } from "./http-lite.ts";
import { DEADLINE_MS } from "./wait.ts";

export class Wire {
  readonly socket: Socket;
  /** Bytes received in all, and those nobody has taken yet. */
  bytesReceived = 0;
  /** The peer sent FIN; the connection is gone; by which error. */
  isEnded = false;
  isClosed = false;
  error: NodeJS.ErrnoException | null = null;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #waiting = new Set<() => void>();
  readonly #drains: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
      this.#chunks.push(chunk);
      this.#buffered += chunk.length;
      this.#notify();
    });
    socket.on("end", () => {
      this.isEnded = true;
      this.#notify();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error;
    });
    socket.on("drain", () => this.#settleDrains());
    socket.on("close", () => {
      this.isClosed = true;
      this.#settleDrains();
      this.#notify();
    });
  }

  /** Bytes that came and were not taken. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Sends bytes or latin1 text; resolves when the kernel has taken them, or when the connection is gone. */
  async send(bytes: Buffer | string): Promise<void> {
    if (this.socket.destroyed || this.socket.writableEnded) return;
    const accepted = this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    if (!accepted) await this.#drained();
  }

  /** FIN: nothing more to send, still reading. */
  endWrite(): void {
    this.socket.end();
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Everything that came and was not taken. */
  take(): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#buffered = 0;
    return all;
  }

  /** Exactly `size` bytes. */
  async expectBytes(size: number, deadlineMs = DEADLINE_MS): Promise<Buffer> {
    await this.until(`${size} bytes`, () => this.#buffered >= size, deadlineMs);
    const all = this.take();
    this.#putBack(all.subarray(size));
    return all.subarray(0, size);
  }

  /** Text up to and with `marker`. */
  async expectUntil(marker: string, deadlineMs = DEADLINE_MS): Promise<string> {
    let found = "";
    await this.until(
      JSON.stringify(marker),
      () => {
        const all = this.take();
        const at = all.indexOf(marker, 0, "latin1");
        if (at < 0) {
          this.#putBack(all);
          return false;
        }
        found = all.toString("latin1", 0, at + marker.length);
        this.#putBack(all.subarray(at + marker.length));
        return true;
      },
      deadlineMs,
    );
    return found;
  }

  /** The next response, 1xx ones attached. `deadlineMs` is the longest time without progress. */
  async expectResponse(options: ReadOptions = {}, deadlineMs = DEADLINE_MS): Promise<Message> {
    return this.#readRest(new MessageReader("response", options), false, deadlineMs);
  }

  /** The next request as far as its head, or null if the peer ends instead. */
  async readRequestHead(options: ReadOptions = {}): Promise<MessageReader | null> {
    await this.until("a request or the end", () => this.#buffered > 0 || this.isEnded || this.isClosed, 3_600_000);
    if (this.#buffered === 0) return null;
    const reader = new MessageReader("request", options);
    await this.#readRest(reader, true, DEADLINE_MS);
    return reader;
  }

  /** The rest of a message whose head is there. */
  async readBody(reader: MessageReader, deadlineMs = DEADLINE_MS): Promise<Message> {
    return this.#readRest(reader, false, deadlineMs);
  }

  /** Nothing more came, and the peer closed its side in an orderly way. */
  async expectEnd(deadlineMs = DEADLINE_MS): Promise<void> {
    await this.until("the end", () => this.isEnded || this.isClosed, deadlineMs);
    if (this.#buffered > 0) throw new Error(`expected the end, got ${JSON.stringify(this.take().toString("latin1").slice(0, 300))}`);
    if (!this.isEnded) throw new Error(`expected the end, got ${this.error?.code ?? "a close"}`);
  }

  /** The connection is gone, in whatever way. */
  async expectClosed(deadlineMs = DEADLINE_MS): Promise<void> {
    await this.until("the close", () => this.isClosed || this.isEnded, deadlineMs);
  }

  /** The connection cannot be used any more: FIN was answered or RST came. */
  async finished(deadlineMs = DEADLINE_MS): Promise<void> {
    await this.until("the close", () => this.isClosed, deadlineMs);
  }

  /** Resolves when `condition` holds after some event; fails when the connection closes first or nothing happens for `deadlineMs`. */
  async until(what: string, condition: () => boolean, deadlineMs = DEADLINE_MS): Promise<void> {
    while (!condition()) {
      if (this.isClosed) throw new Error(`${this.error?.code ?? "closed"} while waiting for ${what}; ${this.#context()}`);
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(() => {
          this.#waiting.delete(wake);
          reject(new Error(`waited ${deadlineMs} ms for ${what}; ${this.#context()}`));
        }, deadlineMs);
        timer.unref();
        this.#waiting.add(wake);
      });
    }
  }

  async #readRest(reader: MessageReader, headOnly: boolean, deadlineMs: number): Promise<Message> {
    const isThere = (): boolean => reader.isDone || (headOnly && reader.message !== null);
    for (;;) {
      if (this.#buffered > 0) {
        const bytes = this.take();
        const used = reader.push(bytes, headOnly);
        this.#putBack(bytes.subarray(used));
      }
      if (isThere()) return reader.message!;
      if (this.isEnded) reader.end();
      if (isThere()) return reader.message!;
      await this.until("more of a message", () => this.#buffered > 0 || this.isEnded, deadlineMs);
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => this.#drains.push(resolve));
  }

  #settleDrains(): void {
    for (const resolve of this.#drains.splice(0)) resolve();
  }

  #putBack(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.unshift(bytes);
    this.#buffered += bytes.length;
  }

  #notify(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #context(): string {
    return `${this.bytesReceived} bytes came, not taken: ${JSON.stringify(this.take().toString("latin1").slice(0, 300))}`;
  }
}
