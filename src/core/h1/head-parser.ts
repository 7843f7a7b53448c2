// Parses the heads of HTTP/1 messages into `MessageHead`: one pass over the bytes, resumable at any byte, no strings.
//
//   empty lines (requests only) --> start line --> field lines --> end
//
// What is parsed depends on the bytes alone, never on how they were split: each byte is looked at once, and a limit counts
// the same whether the head comes whole or byte by byte. Refusals are the start line's here (RFC 9112 sections 2 to 4), the
// fields' in field-section.ts. After an error or a complete head, `reset` comes before the next message.
//
// While a head is incomplete its parser and its `MessageHead` (5 KB of tables) belong together. Connections may share one pair
// for heads that come whole, as nearly all do: after a 0, reset it, and go on with a pair that is the connection's own.

import type { Buffer } from "node:buffer";
import { CR, LF } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import { FIELDS_MAX, Framing, type MessageHead, Method } from "../http/head.ts";
import { FieldSection } from "./field-section.ts";
import { scanRequestLine } from "./request-line.ts";
import { scanStatusLine } from "./status-line.ts";

export interface HeadLimits {
  /** Bytes of a whole head, final empty line included. */
  readonly headerBytesMax: number;
  /** Fields per head; FIELDS_MAX at most counts. */
  readonly headerCountMax: number;
}

const BAD_CONTENT_LENGTH = -ERRORS.WEFT_H1_BAD_CONTENT_LENGTH.id;
const BAD_HOST = -ERRORS.WEFT_H1_BAD_HOST.id;
const BAD_METHOD = -ERRORS.WEFT_H1_BAD_METHOD.id;
const BAD_TRANSFER_ENCODING = -ERRORS.WEFT_H1_BAD_TRANSFER_ENCODING.id;
const BAD_UPGRADE = -ERRORS.WEFT_H1_BAD_UPGRADE.id;
const BARE_CR = -ERRORS.WEFT_H1_BARE_CR.id;
const BARE_LF = -ERRORS.WEFT_H1_BARE_LF.id;
const HEAD_TOO_LARGE = -ERRORS.WEFT_H1_HEAD_TOO_LARGE.id;
const TARGET_TOO_LONG = -ERRORS.WEFT_H1_TARGET_TOO_LONG.id;

/** CRLFs before a request line (RFC 9112 section 2.2): old clients send one behind a body; more than a few is no client. */
const EMPTY_LINES_MAX = 4;

const Stage = { emptyLines: 0, startLine: 1, fields: 2 } as const;
type Stage = (typeof Stage)[keyof typeof Stage];

export class RequestHeadParser {
  readonly #bytesMax: number;
  readonly #section: FieldSection;
  #stage: Stage = Stage.emptyLines;
  /** Bytes of empty lines before the head. */
  #skipped = 0;
  /** Where to go on in the start line, relative to the head. */
  #resume = 0;
  #isFresh = true;

  constructor(limits: HeadLimits) {
    this.#bytesMax = limits.headerBytesMax;
    this.#section = new FieldSection(Math.min(limits.headerCountMax, FIELDS_MAX), true);
  }

  /** Forgets the message in progress. */
  reset(): void {
    this.#stage = Stage.emptyLines;
    this.#skipped = 0;
    this.#resume = 0;
    this.#isFresh = true;
  }

  /** True while nothing but empty lines was seen: no request has begun, though bytes are there. */
  get isBlank(): boolean {
    return this.#stage === Stage.emptyLines;
  }

  /**
   * [start, end): all bytes of the message so far; the buffer may be another one at each call, the head may not. Returns > 0: the
   * size of the head, empty lines before it included (`head.start` is behind them); 0: incomplete; < 0: minus an error id.
   */
  parse(buf: Buffer, start: number, end: number, head: MessageHead): number {
    if (this.#isFresh) {
      head.reset();
      this.#isFresh = false;
    }
    if (this.#stage === Stage.emptyLines) {
      const error = this.#skipEmptyLines(buf, start, end);
      if (error !== 0) return error;
      if (this.#stage === Stage.emptyLines) return 0;
    }
    const base = start + this.#skipped;
    const limit = Math.min(end, base + this.#bytesMax);
    if (this.#stage === Stage.startLine) {
      const next = scanRequestLine(buf, base, base + this.#resume, limit, head);
      if (next <= 0) {
        if (next < 0) return next;
        if (limit < end) return TARGET_TOO_LONG;
        this.#resume = Math.max(limit - 1 - base, 0);
        return 0;
      }
      head.fieldsStart = next - base;
      this.#section.begin(next - base);
      this.#stage = Stage.fields;
    }
    const size = this.#section.parse(buf, base, limit, head);
    if (size <= 0) return size === 0 && limit < end ? HEAD_TOO_LARGE : size;
    head.buffer = buf;
    head.start = base;
    head.size = size;
    const error = concludeRequest(head);
    return error === 0 ? this.#skipped + size : error;
  }

  /** Skips CRLFs; leaves the stage when another byte is there. Returns 0 or minus an error id. */
  #skipEmptyLines(buf: Buffer, start: number, end: number): number {
    let p = start + this.#skipped;
    while (p < end) {
      const byte = buf[p];
      if (byte === LF) return BARE_LF;
      if (byte !== CR) {
        this.#stage = Stage.startLine;
        break;
      }
      if (p + 1 === end) break;
      if (buf[p + 1] !== LF) return BARE_CR;
      p += 2;
      if (p - start > EMPTY_LINES_MAX * 2) return BAD_METHOD;
    }
    this.#skipped = p - start;
    return 0;
  }
}

/** What only the whole head tells: Host, framing, Upgrade. Returns 0 or minus an error id. */
function concludeRequest(head: MessageHead): number {
  if (!head.hasHost && head.version === 11) return BAD_HOST;
  if (head.isChunked) head.framing = Framing.chunked;
  else if (head.contentLength > 0) head.framing = Framing.length;
  // An HTTP/1.0 client does not know 100-continue (RFC 9110 section 10.1.1).
  if (head.version === 10) head.expectsContinue = false;
  if (head.framing === Framing.none) return 0;
  // CONNECT has no content (RFC 9110 section 9.3.6): what follows would be tunnel bytes to one and a body to another.
  if (head.method === Method.connect) return head.isChunked ? BAD_TRANSFER_ENCODING : BAD_CONTENT_LENGTH;
  return head.saysUpgrade && head.hasUpgrade ? BAD_UPGRADE : 0;
}

export class ResponseHeadParser {
  readonly #bytesMax: number;
  readonly #section: FieldSection;
  #stage: Stage = Stage.startLine;
  #resume = 0;
  #isFresh = true;

  constructor(limits: HeadLimits) {
    this.#bytesMax = limits.headerBytesMax;
    this.#section = new FieldSection(Math.min(limits.headerCountMax, FIELDS_MAX), false);
  }

  /** Forgets the message in progress. */
  reset(): void {
    this.#stage = Stage.startLine;
    this.#resume = 0;
    this.#isFresh = true;
  }

  /** As `RequestHeadParser.parse`, without empty lines before the status line. `head.framing` is left to `responseFraming`. */
  parse(buf: Buffer, start: number, end: number, head: MessageHead): number {
    if (this.#isFresh) {
      head.reset();
      this.#isFresh = false;
    }
    const limit = Math.min(end, start + this.#bytesMax);
    if (this.#stage === Stage.startLine) {
      const next = scanStatusLine(buf, start, start + this.#resume, limit, head);
      if (next <= 0) {
        if (next < 0) return next;
        if (limit < end) return HEAD_TOO_LARGE;
        this.#resume = Math.max(limit - 1 - start, 0);
        return 0;
      }
      head.fieldsStart = next - start;
      this.#section.begin(next - start);
      this.#stage = Stage.fields;
    }
    const size = this.#section.parse(buf, start, limit, head);
    if (size <= 0) return size === 0 && limit < end ? HEAD_TOO_LARGE : size;
    head.buffer = buf;
    head.start = start;
    head.size = size;
    return concludeResponse(head) || size;
  }
}

/** Returns 0 or minus an error id. */
function concludeResponse(head: MessageHead): number {
  // 1xx and 204 have no body, whatever their fields say; a sender that announces one means something else than we do.
  if (head.status < 200 || head.status === 204) {
    if (head.isChunked) return BAD_TRANSFER_ENCODING;
    if (head.contentLength > 0) return BAD_CONTENT_LENGTH;
  }
  return 0;
}
