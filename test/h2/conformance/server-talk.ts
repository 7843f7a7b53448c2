// The server's end of a conformance case: what a raw server sends to a client that has asked, and which outcomes the RFC allows.

import {
  data,
  describeFrame,
  ErrorCode,
  errorCodeOf,
  errorName,
  FrameType,
  headers,
  type HeadersOptions,
} from "../../support/h2-frames.ts";
import { block, type Fields } from "../../support/h2-hpack.ts";
import type { H2Peer } from "../../support/h2-peer.ts";

/** One way in which a server answers a GET, and what the client makes of it. */
export interface ClientCase {
  readonly id: string;
  readonly rfc: string;
  /** One behaviour of the client, in the present tense. */
  readonly title: string;
  /** Runs once per connection, behind the server's SETTINGS unless `isRaw`; rejects when the client does what it may not. */
  readonly script: (talk: ServerTalk) => Promise<unknown>;
  /** Whether the request gets its whole answer; null: either is right. */
  readonly succeeds: boolean | null;
  /** The script sends the server's first frame. */
  readonly isRaw?: boolean;
}

export class ServerTalk {
  readonly peer: H2Peer;
  /** The stream of the client's request; 1 with every client that we know. */
  stream = 1;

  constructor(peer: H2Peer) {
    this.peer = peer;
  }

  /** Waits for the request. */
  async asked(): Promise<this> {
    this.stream = (await this.peer.expectHeaders()).streamId;
    return this;
  }

  /** HEADERS of a response without end. */
  head(fields: Fields = [], options: HeadersOptions = {}): Buffer {
    return headers(this.stream, block([[":status", "200"], ...fields]), options);
  }

  /** DATA that ends the response. */
  body(payload = "test"): Buffer {
    return data(this.stream, payload, { endStream: true });
  }

  send(...frames: readonly Buffer[]): this {
    this.peer.send(...frames);
    return this;
  }

  /** A connection error with one of these codes, or the close. */
  connectionError(...codes: readonly number[]): Promise<void> {
    return this.#error(false, codes);
  }

  /** The same, or RST_STREAM of the request's stream with one of these codes. */
  streamError(...codes: readonly number[]): Promise<void> {
    return this.#error(true, codes);
  }

  async #error(mayReset: boolean, codes: readonly number[]): Promise<void> {
    const wanted = `a ${mayReset ? "stream or " : ""}connection error ${codes.map(errorName).join(" or ")}`;
    for (;;) {
      const received = await this.peer.next(wanted);
      if (received === null) return;
      const isReset = received.type === FrameType.RST_STREAM && received.streamId === this.stream && mayReset;
      const isEnd = received.type === FrameType.GOAWAY && errorCodeOf(received) !== ErrorCode.NO_ERROR;
      if (!isReset && !isEnd) continue;
      if (codes.includes(errorCodeOf(received))) return;
      throw new Error(`expected ${wanted}, got ${describeFrame(received)}`);
    }
  }
}
