// Memory that all HTTP/2 connections of one worker share: a connection is idle most of the time, and nothing here outlives a call.
//
// A decoded head lies in `lines` with room before it for its start line, so that it becomes the shape of an HTTP/1.1 head without being
// moved.

import { Buffer } from "node:buffer";
import { MessageHead } from "../http/head.ts";
import type { H2Limits } from "./limits.ts";

/** Bytes before the decoded lines: what a start line and a Host line take beyond the pseudo-header fields that they are made of. */
export const FRONT_ROOM = 64;

export class H2Scratch {
  readonly head = new MessageHead();
  readonly lines: Buffer;
  /** For a head whose lines have to be put together anew (cookie crumbs). */
  readonly #size: number;
  #rebuilt: Buffer | null = null;

  constructor(limits: H2Limits) {
    this.#size = FRONT_ROOM + limits.headerBytesMax;
    this.lines = Buffer.allocUnsafeSlow(this.#size);
  }

  /** As large as `lines`; made when first needed. */
  get rebuilt(): Buffer {
    this.#rebuilt ??= Buffer.allocUnsafeSlow(this.#size);
    return this.#rebuilt;
  }
}
