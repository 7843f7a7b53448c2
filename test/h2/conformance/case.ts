// One case of the HTTP/2 conformance suite: what a raw client sends to a server, and which outcomes the RFC allows.
//
// The outcomes are the RFC's own: a connection error is GOAWAY with a fitting code, or the close of the connection (RFC 9113 5.4.1:
// GOAWAY should come, the close must); a stream error may be answered by RST_STREAM or by a connection error (5.4.2). A code that
// does not fit is a failure. Frames that were on their way before the error are passed over.

import {
  type DataOptions,
  data,
  describeFrame,
  errorCodeOf,
  ErrorCode,
  errorName,
  Flag,
  FrameType,
  headers,
  type HeadersOptions,
  settings,
} from "../../support/h2-frames.ts";
import { block, type Fields } from "../../support/h2-hpack.ts";
import { H2Peer, type Received } from "../../support/h2-peer.ts";

/** A server that answers GET, HEAD and POST on `path` once it has read the request; GET with a body of 5 bytes to 16 KB. */
export interface Target {
  readonly port: number;
  readonly host?: string;
  readonly tls?: boolean;
  /** "web" and "/" unless said otherwise. */
  readonly authority?: string;
  readonly path?: string;
  /** Longest wait for an outcome. */
  readonly deadlineMs?: number;
}

export interface Case {
  /** Group, section and number, as the public suite of 146 cases counts them: `http2/6.1/1`. */
  readonly id: string;
  /** Where the RFC demands it. */
  readonly rfc: string;
  /** One behaviour, in the present tense. */
  readonly title: string;
  readonly run: (talk: Talk) => Promise<unknown>;
  /** Starts before the client's preface. */
  readonly isRaw?: boolean;
}

/** A case of `group`, below `section` of the public suite. */
export function cases(
  group: string,
  section: string,
  rfc: string,
  ...list: readonly (readonly [title: string, run: (talk: Talk) => Promise<unknown>])[]
): Case[] {
  return list.map(([title, run], index) => ({ id: `${group}/${section}/${index + 1}`, rfc, title, run }));
}

/** Connects, runs one case, closes. Rejects when the server does what the case does not allow. */
export async function runCase(one: Case, target: Target): Promise<void> {
  const options = target.deadlineMs === undefined ? target : { ...target, deadlineMs: target.deadlineMs };
  const peer = one.isRaw ? await H2Peer.connect(options) : await H2Peer.open(options);
  try {
    await one.run(new Talk(peer, target));
  } finally {
    peer.destroy();
  }
}

/** Pads a block beyond any ordinary one. */
export const LONG_VALUE = "x".repeat(4_000);

export class Talk {
  readonly peer: H2Peer;
  /** The stream that is sent what it must refuse. RST_STREAM of another one is no verdict. */
  suspect = 1;
  readonly #target: Target;

  constructor(peer: H2Peer, target: Target) {
    this.peer = peer;
    this.#target = target;
  }

  /** Fields of a request that the target answers. */
  fields(method = "GET", ...more: Fields): Fields {
    return [
      [":method", method],
      [":scheme", this.#target.tls ? "https" : "http"],
      [":path", this.#target.path ?? "/"],
      [":authority", this.#target.authority ?? "web"],
      ...more,
    ];
  }

  /** HEADERS of a GET, which end the stream. */
  get(streamId = 1, options: HeadersOptions = {}): Buffer {
    return headers(streamId, block(this.fields()), { endStream: true, ...options });
  }

  /** HEADERS of a POST whose body is still to come. */
  post(streamId = 1, ...more: Fields): Buffer {
    return headers(streamId, block(this.fields("POST", ...more)));
  }

  /** DATA that ends stream 1. */
  body(payload = "test", options: DataOptions = {}): Buffer {
    return data(1, payload, { endStream: true, ...options });
  }

  send(...frames: readonly (Buffer | string)[]): this {
    this.peer.send(...frames);
    return this;
  }

  /** A response with a status comes on the stream. */
  async answered(streamId = 1): Promise<void> {
    for (;;) {
      const { fields } = await this.peer.expectHeaders(streamId);
      const status = fields.find(([name]) => name === ":status")?.[1] ?? "none";
      if (!/^[1-5]\d\d$/.test(status)) throw new Error(`expected a response on stream ${streamId}, got the status ${status}`);
      if (status.startsWith("5")) throw new Error(`expected an answer to a good request, got ${status}`);
      if (!status.startsWith("1")) return;
    }
  }

  /** The stream is over on the server's side. */
  async ended(streamId = 1): Promise<void> {
    await this.peer.expect(`the end of stream ${streamId}`, (received) => {
      if (received.streamId !== streamId) return false;
      if (received.type === FrameType.RST_STREAM) return errorCodeOf(received) === ErrorCode.NO_ERROR;
      return (received.type === FrameType.DATA || received.type === FrameType.HEADERS) && (received.flags & Flag.END_STREAM) !== 0;
    });
  }

  /** DATA of exactly `size` bytes comes next on stream 1. */
  async dataOf(size: number): Promise<void> {
    const received = await this.peer.expect("DATA", ({ type, payload }) => type === FrameType.DATA && payload.length > 0);
    if (received.payload.length !== size) throw new Error(`expected DATA of ${size} bytes, got ${describeFrame(received)}`);
  }

  /** SETTINGS that the server has acknowledged. */
  async settled(...pairs: readonly (readonly [id: number, value: number])[]): Promise<void> {
    this.send(settings(...pairs));
    await this.peer.expectSettingsAck();
  }

  connectionError(...codes: readonly number[]): Promise<void> {
    return this.#error(false, codes);
  }

  streamError(...codes: readonly number[]): Promise<void> {
    return this.#error(true, codes);
  }

  async #error(mayReset: boolean, codes: readonly number[]): Promise<void> {
    const names = codes.map(errorName).join(" or ");
    const wanted = mayReset ? `a stream or connection error ${names}` : `a connection error ${names}`;
    for (;;) {
      const received = await this.peer.next(wanted);
      if (received === null) return;
      if (!this.#isVerdict(received, mayReset)) continue;
      if (codes.includes(errorCodeOf(received))) return;
      throw new Error(`expected ${wanted}, got ${describeFrame(received)}`);
    }
  }

  /** Ends of streams without an error are none; RST_STREAM is no verdict where the whole connection has to go. */
  #isVerdict(received: Received, mayReset: boolean): boolean {
    if (received.type === FrameType.GOAWAY) return true;
    const isReset = received.type === FrameType.RST_STREAM && received.streamId === this.suspect;
    return mayReset && isReset && errorCodeOf(received) !== ErrorCode.NO_ERROR;
  }
}
