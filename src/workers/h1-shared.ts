// HTTP/1 machinery that connections of one worker take turns with: parsers and heads for messages that arrive in one piece.
// A connection whose head is split over reads takes a set of its own until the head is complete.

import { Buffer } from "node:buffer";
import type { Limits } from "../config/limits.ts";
import { RequestHeadParser, ResponseHeadParser } from "../core/h1/head-parser.ts";
import type { ConnectionOption, RequestHeadOptions, ResponseHeadOptions } from "../core/h1/serialize.ts";
import { FIELD_STRIDE, FieldId, FIELDS_MAX, MessageHead } from "../core/http/head.ts";

const EMPTY = Buffer.alloc(0);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Retained heads up to this size use pooled memory. */
const HEAD_BYTES = 4 * 1024;
const FREE_MAX = 256;

/** A head with memory for its bytes: what an exchange keeps while it is in flight. */
export class HeadSlot {
  readonly head = new MessageHead();
  bytes: Buffer = Buffer.allocUnsafeSlow(HEAD_BYTES);

  /** Copies the head's bytes out of the buffer that they were read into. */
  retain(): void {
    const { head } = this;
    if (head.size > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(head.size);
    head.retainIn(this.bytes, 0);
  }

  /** Becomes a copy of a head that is borrowed. */
  copy(borrowed: MessageHead): void {
    if (borrowed.size > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(borrowed.size);
    this.head.copyFrom(borrowed, this.bytes);
  }

  /** Puts one more line behind a head that this slot holds. False: its table is full. */
  addField(name: string, value: string): boolean {
    const { head } = this;
    if (head.count === FIELDS_MAX) return false;
    const line = `${name}: ${value}\r\n\r\n`;
    const at = head.size - 2;
    const size = at + line.length;
    if (size > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(size);
      this.bytes.copy(larger, 0, 0, at);
      this.bytes = larger;
      head.buffer = larger;
    }
    this.bytes.write(line, at, "latin1");
    const row = head.count * FIELD_STRIDE;
    head.fields[row] = at;
    head.fields[row + 1] = at + name.length;
    head.fields[row + 2] = at + name.length + 2;
    head.fields[row + 3] = size - 4;
    head.ids[head.count] = FieldId.other;
    head.named[head.count] = 0;
    head.count++;
    head.size = size;
    return true;
  }
}

export class H1Shared {
  limits: Limits;
  requestParser: RequestHeadParser;
  responseParser: ResponseHeadParser;
  responseHead = new MessageHead();
  /** Filled anew for each head that is written: no object per message. */
  readonly requestOptions: Mutable<RequestHeadOptions> = {
    upgrade: false,
    hostFallback: EMPTY,
    forwardedFor: null,
    via: null,
    clientId: null,
  };
  readonly responseOptions: Mutable<ResponseHeadOptions> = {
    connection: 0 as ConnectionOption,
    dropTransferEncoding: false,
    upgrade: false,
    via: null,
  };
  readonly #slots: HeadSlot[] = [];

  constructor(limits: Limits) {
    this.limits = limits;
    this.requestParser = new RequestHeadParser(limits);
    this.responseParser = new ResponseHeadParser(limits);
  }

  /** New limits hold for heads that begin later. */
  setLimits(limits: Limits): void {
    this.limits = limits;
    this.requestParser = new RequestHeadParser(limits);
    this.responseParser = new ResponseHeadParser(limits);
  }

  /** A connection keeps the parser in the middle of a head; the others get a new one. */
  lendRequestParser(): RequestHeadParser {
    const lent = this.requestParser;
    this.requestParser = new RequestHeadParser(this.limits);
    return lent;
  }

  takeSlot(): HeadSlot {
    return this.#slots.pop() ?? new HeadSlot();
  }

  giveSlot(slot: HeadSlot): void {
    if (this.#slots.length >= FREE_MAX || slot.bytes.length > HEAD_BYTES) return;
    slot.head.reset();
    this.#slots.push(slot);
  }
}
