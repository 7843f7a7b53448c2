// The frame of an attack over HTTP/2: connections that strike until time is up, come back when they are thrown out, and count.
//
// Bounded in everything: time, connections at once, connections in all, bytes in flight. What an attack sends is in attacks.ts.

import {
  errorCodeOf,
  errorName,
  FRAME_BYTES_DEFAULT,
  FrameType,
  continuation,
  headers,
  PREFACE,
  Setting,
  settings,
} from "../support/h2-frames.ts";
import { block, type Fields } from "../support/h2-hpack.ts";
import { H2Peer, type Received } from "../support/h2-peer.ts";

export interface AttackOptions {
  readonly tls?: boolean;
  /** "web" unless said otherwise. */
  readonly authority?: string;
  /** What the requests ask for: best something whose answer takes long. */
  readonly path?: string;
  /** A response of 1 MB or more, for attacks that do not read it. */
  readonly bigPath?: string;
  /** Attackers at the same time. */
  readonly connections?: number;
  /** Ends as soon as the target has ended one connection. */
  readonly once?: boolean;
}

export interface AttackReport {
  /** Connections opened, those that never got as far as SETTINGS, and those that the target ended before time was up. */
  connections: number;
  refused: number;
  closedByTarget: number;
  /** Streams or frames sent, whatever the attack consists of. */
  sent: number;
  /** Codes of GOAWAY and RST_STREAM that came, by name. A target that closes while we send resets the connection: then they are lost. */
  readonly goaways: Record<string, number>;
  readonly resets: Record<string, number>;
  /** Header blocks that came: interim, final, trailers. */
  answers: number;
  elapsedMs: number;
}

export type Attack = (port: number, seconds: number, options?: AttackOptions) => Promise<AttackReport>;

/** A connection that is thrown out comes back after this; so ten seconds see 500 at most of each attacker. */
const RETURN_PAUSE_MS = 20;
/** A handshake that takes longer counts as refused. */
const HANDSHAKE_MS = 5_000;
/** Streams that an attack holds open on one connection where the target sets no limit. */
const STREAMS_MAX = 1_000;

type Pairs = readonly (readonly [id: number, value: number])[];

export interface Strategy {
  /** Sent in the client's SETTINGS. */
  readonly settings?: Pairs;
  /** Sends until it is done or `front.isOver`; behind it the connection is held until time is up. */
  readonly strike: (front: Front) => Promise<void>;
  /** Takes nothing from the socket any more once the strike begins. */
  readonly isDeaf?: boolean;
}

/** Waits between two looks at the credit that is left. */
const CREDIT_POLL_MS = 1;
/** Window of the connection, and of a stream before any SETTINGS (RFC 9113 6.9.2). */
const WINDOW_BYTES_DEFAULT = 65_535;

/** One connection of an attack. */
export class Front {
  peer!: H2Peer;
  readonly options: AttackOptions;
  readonly #report: AttackReport;
  #lastStream = -1;
  /** What the target lets us send on the connection and on stream 1, as its WINDOW_UPDATE frames say. */
  #connectionCredit = WINDOW_BYTES_DEFAULT;
  #streamCredit = 0;
  #dribbled = 0;
  /** Time is up. */
  isStopped = false;

  constructor(options: AttackOptions, report: AttackReport) {
    this.options = options;
    this.#report = report;
  }

  /** Counts a received frame. Nothing is kept for later but SETTINGS, which the handshake waits for. */
  note(received: Received): boolean {
    const { type, streamId, payload } = received;
    if (received.fields !== null) this.#report.answers += 1;
    if (type === FrameType.GOAWAY) count(this.#report.goaways, received);
    if (type === FrameType.RST_STREAM) count(this.#report.resets, received);
    if (type === FrameType.WINDOW_UPDATE && streamId === 0) this.#connectionCredit += payload.readUInt32BE();
    if (type === FrameType.WINDOW_UPDATE && streamId === 1) this.#streamCredit += payload.readUInt32BE();
    return type === FrameType.SETTINGS;
  }

  get isOver(): boolean {
    return this.isStopped || this.peer.isClosed;
  }

  /** The number of the next stream. */
  stream(): number {
    this.#lastStream += 2;
    return this.#lastStream;
  }

  /** Streams that may be open at once. */
  get streamsMax(): number {
    return Math.min(this.peer.streamsAllowed, STREAMS_MAX);
  }

  fields(method = "GET", path = this.options.path ?? "/"): Fields {
    return [
      [":method", method],
      [":scheme", this.options.tls ? "https" : "http"],
      [":path", path],
      [":authority", this.options.authority ?? "web"],
    ];
  }

  get(streamId: number, path?: string): Buffer {
    return headers(streamId, block(this.fields("GET", path)), { endStream: true });
  }

  post(streamId: number): Buffer {
    return headers(streamId, block(this.fields("POST")));
  }

  /** Sends frames that count as `units`, and waits while the target takes no more. */
  async send(units: number, ...frames: readonly Buffer[]): Promise<void> {
    if (this.isOver) return;
    this.peer.send(...frames);
    this.#report.sent += units;
    await this.peer.drained();
    // What came meanwhile is seen before more is sent.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Sends `chunk`, DATA of stream 1 that takes so much credit, again and again; but only as the target gives credit. */
  async dribble(units: number, creditBytes: number, chunk: Buffer): Promise<void> {
    const initial = this.peer.remoteSettings.get(Setting.INITIAL_WINDOW_SIZE) ?? WINDOW_BYTES_DEFAULT;
    while (!this.isOver) {
      const credit = Math.min(this.#connectionCredit, initial + this.#streamCredit) - this.#dribbled;
      if (credit < creditBytes) {
        await new Promise((resolve) => setTimeout(resolve, CREDIT_POLL_MS));
        continue;
      }
      this.#dribbled += creditBytes;
      await this.send(units, chunk);
    }
  }

  /** Sends what `chunk` makes, again and again. */
  async flood(unitsPerChunk: number, chunk: () => Buffer): Promise<void> {
    while (!this.isOver) await this.send(unitsPerChunk, chunk());
  }
}

/** A block in as many frames as it takes. */
export function splitHeaders(streamId: number, fields: Buffer, endStream: boolean): Buffer {
  const frames = [
    headers(streamId, fields.subarray(0, FRAME_BYTES_DEFAULT), { endStream, endHeaders: fields.length <= FRAME_BYTES_DEFAULT }),
  ];
  for (let at = FRAME_BYTES_DEFAULT; at < fields.length; at += FRAME_BYTES_DEFAULT) {
    const piece = fields.subarray(at, at + FRAME_BYTES_DEFAULT);
    frames.push(continuation(streamId, piece, { endHeaders: at + piece.length >= fields.length }));
  }
  return Buffer.concat(frames);
}

function count(codes: Record<string, number>, received: Received): void {
  const name = errorName(errorCodeOf(received));
  codes[name] = (codes[name] ?? 0) + 1;
}

/** An attack with this strategy. Its promise never rejects because of what the target does. */
export function attackOf(strategy: Strategy): Attack {
  return async (port, seconds, options = {}) => {
    const report: AttackReport = {
      connections: 0,
      refused: 0,
      closedByTarget: 0,
      sent: 0,
      goaways: {},
      resets: {},
      answers: 0,
      elapsedMs: 0,
    };
    const began = performance.now();
    const end = began + seconds * 1_000;
    const attackers = Array.from({ length: options.connections ?? 1 }, async () => {
      while (performance.now() < end && !(options.once && report.closedByTarget > 0)) {
        await strikeOnce(port, end, options, strategy, report);
        await new Promise((resolve) => setTimeout(resolve, RETURN_PAUSE_MS));
      }
    });
    await Promise.all(attackers);
    report.elapsedMs = performance.now() - began;
    return report;
  };
}

async function strikeOnce(port: number, end: number, options: AttackOptions, strategy: Strategy, report: AttackReport): Promise<void> {
  report.connections += 1;
  const leftMs = Math.max(1, end - performance.now());
  const front = new Front(options, report);
  let peer: H2Peer | undefined;
  try {
    const deadlineMs = Math.min(HANDSHAKE_MS, leftMs);
    peer = await H2Peer.connect({ port, tls: options.tls ?? false, deadlineMs, keep: (received) => front.note(received) });
    peer.send(PREFACE, settings(...(strategy.settings ?? [])));
    await peer.expectSettings();
    await peer.expectSettingsAck();
  } catch {
    report.refused += 1;
    peer?.destroy();
    return;
  }
  front.peer = peer;
  const stop = setTimeout(
    () => {
      front.isStopped = true;
      front.peer.destroy();
    },
    Math.max(0, end - performance.now()),
  );
  if (strategy.isDeaf) peer.socket.pause();
  await strategy.strike(front);
  if (!front.isOver) await peer.expectClosed(leftMs).catch(() => {});
  clearTimeout(stop);
  if (peer.isClosed && !front.isStopped) report.closedByTarget += 1;
  peer.destroy();
}
