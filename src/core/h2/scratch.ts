// Memory that all HTTP/2 connections of one worker share: a connection is idle most of the time, and nothing here outlives a call.
//
// A decoded head lies in `lines` with room before it for its start line, so that it becomes the shape of an HTTP/1.1 head without being
// moved. Stream objects are kept here between streams.

import { Buffer } from "node:buffer";
import { DECODER_SLACK } from "../hpack/decoder.ts";
import { FieldBlock } from "../hpack/field-block.ts";
import { MessageHead } from "../http/head.ts";
import type { H2Limits } from "./limits.ts";
import type { Stream } from "./stream.ts";
import { TrailerLines } from "./trailers.ts";

/** Bytes before the decoded lines: what a start line and a Host line take beyond the pseudo-header fields that they are made of. */
export const FRONT_ROOM = 64;

/** Stream objects kept between streams: what a thousand busy streams leave behind is 300 KB. */
const STREAMS_KEPT = 1024;

export class H2Scratch {
  readonly #streams: Stream[] = [];
  readonly head = new MessageHead();
  /** Shares the head's tables. */
  readonly block = new FieldBlock(this.head);
  readonly trailers = new TrailerLines();
  readonly lines: Buffer;
  /** Where a start line and what belongs to it are put together. */
  readonly front: Buffer;
  /** For a head whose lines have to be put together anew (cookie crumbs). */
  readonly #size: number;
  #rebuilt: Buffer | null = null;

  constructor(limits: H2Limits) {
    this.#size = FRONT_ROOM + limits.headerBytesMax + DECODER_SLACK;
    this.lines = Buffer.allocUnsafeSlow(this.#size);
    this.front = Buffer.allocUnsafeSlow(this.#size);
  }

  /** As large as `lines`; made when first needed. */
  get rebuilt(): Buffer {
    this.#rebuilt ??= Buffer.allocUnsafeSlow(this.#size);
    return this.#rebuilt;
  }

  /** A stream object that was used before, null: there is none. */
  takeStream(): Stream | null {
    return this.#streams.pop() ?? null;
  }

  giveStream(stream: Stream): void {
    stream.id = 0;
    if (this.#streams.length < STREAMS_KEPT) this.#streams.push(stream);
  }
}
