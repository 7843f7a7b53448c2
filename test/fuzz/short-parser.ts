// The canary of the targets that compare readings of a connection: a parser that takes a body for one byte shorter than it is.

import type { Buffer } from "node:buffer";
import type { MessageHead } from "../../src/core/http/head.ts";
import { type HeadLimits, RequestHeadParser } from "../../src/core/h1/head-parser.ts";
import type { HeadParser } from "../support/h1-driver.ts";

export class ShortParser implements HeadParser {
  readonly #parser: RequestHeadParser;

  constructor(limits: HeadLimits) {
    this.#parser = new RequestHeadParser(limits);
  }

  get isBlank(): boolean {
    return this.#parser.isBlank;
  }

  reset(): void {
    this.#parser.reset();
  }

  parse(buf: Buffer, start: number, end: number, head: MessageHead): number {
    const size = this.#parser.parse(buf, start, end, head);
    if (size > 0 && head.contentLength > 1) head.contentLength--;
    return size;
  }
}
