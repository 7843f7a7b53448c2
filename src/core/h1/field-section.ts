// The field lines of a head up to its final empty line, and what they say about the message (RFC 9112 sections 3.2, 6, 7; RFC
// 9110 sections 7.2, 7.6.1, 7.8, 10.1.1). Shared by requests and responses; resumable at any byte.
//
//   line ---- bytes of a line ----> (incomplete: wait) ----> line
//    |  CR LF
//    v
//   end: mark named fields, hand over to the start line's side
//
// Refuses every way to say the body's length twice or in two ways: a second Content-Length (equal or not), lists, signs,
// Content-Length with Transfer-Encoding in either order, any coding that is not exactly `chunked`, a second one, one in HTTP/1.0.

import { asciiBytes, CR, DIGIT_0, DIGIT_9, equalsWord, LF } from "../bytes/ascii.ts";
import { ERRORS } from "../errors/error-codes.ts";
import { FIELD_STRIDE, FieldId, type MessageHead } from "../http/head.ts";
import { BAD_AUTHORITY, scanAuthority } from "./authority.ts";
import { CONNECTION_OPTIONS_MAX, markNamedFields, readConnectionOptions } from "./connection-options.ts";
import { scanFieldLine } from "./field-line.ts";
import { fieldId } from "./field-names.ts";

const SPACE = 0x20;

const BARE_CR = -ERRORS.WEFT_H1_BARE_CR.id;
const BAD_CONNECTION = -ERRORS.WEFT_H1_BAD_CONNECTION.id;
const BAD_CONTENT_LENGTH = -ERRORS.WEFT_H1_BAD_CONTENT_LENGTH.id;
const BAD_EXPECT = -ERRORS.WEFT_H1_BAD_EXPECT.id;
const BAD_HOST = -ERRORS.WEFT_H1_BAD_HOST.id;
const BAD_TRANSFER_ENCODING = -ERRORS.WEFT_H1_BAD_TRANSFER_ENCODING.id;
const LENGTH_WITH_CODING = -ERRORS.WEFT_H1_LENGTH_WITH_CODING.id;
const TOO_MANY_FIELDS = -ERRORS.WEFT_H1_TOO_MANY_FIELDS.id;

const CHUNKED = asciiBytes("chunked");
const CONTINUE = asciiBytes("100-continue");
const H2C = asciiBytes("h2c");

export class FieldSection {
  readonly #countMax: number;
  readonly #isRequest: boolean;
  /** Start of the line in progress and where to go on in it; relative to the head. */
  #line = 0;
  #resume = 0;
  /** Connection options that may name fields. */
  #options = 0;
  #offersH2c = false;

  constructor(countMax: number, isRequest: boolean) {
    this.#countMax = countMax;
    this.#isRequest = isRequest;
  }

  /** Begins at the first field line, `at` bytes behind the head's start. */
  begin(at: number): void {
    this.#line = at;
    this.#resume = at;
    this.#options = 0;
    this.#offersH2c = false;
  }

  /**
   * Reads lines from where it stopped to `end`. `base`: where the head begins in `buf`. Returns > 0: size of the head, the
   * final empty line included; 0: incomplete; < 0: minus an error id.
   */
  parse(buf: Uint8Array, base: number, end: number, head: MessageHead): number {
    const { fields, ids, named } = head;
    const countMax = this.#countMax;
    let count = head.count;
    let line = base + this.#line;
    let resume = base + this.#resume;
    for (;;) {
      if (resume === line) {
        if (line >= end) break;
        if (buf[line] === CR) {
          if (line + 1 === end) break;
          if (buf[line + 1] !== LF) return BARE_CR;
          if (this.#options !== 0) markNamedFields(buf, base, head);
          if (this.#offersH2c || head.version === 10) this.#forgetUpgrade(head);
          return line + 2 - base;
        }
        if (count === countMax) return TOO_MANY_FIELDS;
      }
      const at = count * FIELD_STRIDE;
      const next = scanFieldLine(buf, base, line, resume, end, fields, at);
      if (next <= 0) {
        if (next < 0) return next;
        resume = base + fields[at + 3]!;
        break;
      }
      const id = fieldId(buf, line, base + fields[at + 1]!);
      ids[count] = id;
      named[count] = 0;
      head.count = ++count;
      if (id !== FieldId.other) {
        const error = this.#conclude(buf, base, id, base + fields[at + 2]!, base + fields[at + 3]!, head);
        if (error !== 0) return error;
        if (id <= FieldId.contentLength && !isPlain(buf, base + fields[at + 1]!, base + fields[at + 2]!, base + fields[at + 3]!, next)) {
          head.hasOddSpace = true;
          head.hasEdits = true;
        }
      }
      line = next;
      resume = next;
    }
    this.#line = line - base;
    this.#resume = resume - base;
    return 0;
  }

  /** Draws what follows from one known field, whose value is [start, end). Returns 0 or minus an error id. */
  #conclude(buf: Uint8Array, base: number, id: FieldId, start: number, end: number, head: MessageHead): number {
    switch (id) {
      case FieldId.host:
        return this.#isRequest ? concludeHost(buf, base, start, end, head) : 0;
      case FieldId.date:
        return 0;
      case FieldId.contentLength:
        return concludeContentLength(buf, start, end, head);
      case FieldId.transferEncoding:
        head.hasEdits = true;
        if (head.contentLength >= 0) return LENGTH_WITH_CODING;
        if (head.isChunked || head.version === 10 || !equalsWord(buf, start, end, CHUNKED)) return BAD_TRANSFER_ENCODING;
        head.isChunked = true;
        return 0;
      case FieldId.connection: {
        head.hasEdits = true;
        const options = readConnectionOptions(buf, start, end, head);
        if (options < 0) return options;
        this.#options += options;
        return this.#options > CONNECTION_OPTIONS_MAX ? BAD_CONNECTION : 0;
      }
      case FieldId.upgrade:
        head.hasEdits = true;
        head.hasUpgrade = true;
        if (this.#isRequest && offersH2c(buf, start, end)) this.#offersH2c = true;
        return 0;
      case FieldId.expect:
        head.hasEdits = true;
        if (!this.#isRequest) return 0;
        if (head.expectsContinue || !equalsWord(buf, start, end, CONTINUE)) return BAD_EXPECT;
        head.expectsContinue = true;
        return 0;
      default:
        head.hasEdits = true;
        return 0;
    }
  }

  /**
   * Upgrade does not count in HTTP/1.0 (RFC 9110 section 7.8). Nor does an offer of h2c: a request that may become HTTP/2 behind
   * our back could not be routed or checked any more (h2c smuggling), and a server may always ignore the offer.
   */
  #forgetUpgrade(head: MessageHead): void {
    head.hasUpgrade = false;
    head.saysUpgrade = false;
  }
}

/** Is the line `Name: value` or `Name:value`, without any other white space? */
function isPlain(buf: Uint8Array, nameEnd: number, valueStart: number, valueEnd: number, next: number): boolean {
  if (valueEnd + 2 !== next) return false;
  const space = valueStart - nameEnd - 1;
  return space === 0 || (space === 1 && buf[nameEnd + 1] === SPACE);
}

function concludeHost(buf: Uint8Array, base: number, start: number, end: number, head: MessageHead): number {
  if (head.hasHost) return BAD_HOST;
  // An empty value is what a target without authority asks for (RFC 9112 section 3.2).
  if (start !== end && scanAuthority(buf, start, end) === BAD_AUTHORITY) return BAD_HOST;
  head.hasHost = true;
  head.hostIndex = head.count - 1;
  // The authority of an absolute-form or authority-form target was set before; it wins (RFC 9112 section 3.2.2).
  if (head.authorityEnd === 0) {
    head.authorityStart = start - base;
    head.authorityEnd = end - base;
  }
  return 0;
}

function concludeContentLength(buf: Uint8Array, start: number, end: number, head: MessageHead): number {
  if (head.isChunked) return LENGTH_WITH_CODING;
  if (head.contentLength >= 0 || start === end) return BAD_CONTENT_LENGTH;
  let length = 0;
  for (let p = start; p < end; p++) {
    const byte = buf[p]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) return BAD_CONTENT_LENGTH;
    length = length * 10 + (byte - DIGIT_0);
    if (length > Number.MAX_SAFE_INTEGER) return BAD_CONTENT_LENGTH;
  }
  head.contentLength = length;
  return 0;
}

/** Does an Upgrade value name h2c anywhere in its list? */
export function offersH2c(buf: Uint8Array, start: number, end: number): boolean {
  for (let p = start; p + H2C.length <= end; p++) {
    if (equalsWord(buf, p, p + H2C.length, H2C)) return true;
  }
  return false;
}
