// The head of an HTTP message as byte ranges: what a codec hands to the exchange (ADR 0001).
//
// Every range is relative to `start` in `buffer`, so that the bytes may move (from the worker's shared receive
// buffer into memory that the exchange owns) without touching the table. A head is borrowed for the duration of
// the call that delivers it; who needs it longer calls `retainIn`. No string is made of a head on the hot path.

import type { Buffer } from "node:buffer";

/** Fields that Weft itself looks at. Everything else is `other` and is forwarded as it was read. */
export const FieldId = {
  other: 0,
  host: 1,
  connection: 2,
  keepAlive: 3,
  proxyConnection: 4,
  transferEncoding: 5,
  contentLength: 6,
  upgrade: 7,
  te: 8,
  trailer: 9,
  expect: 10,
  via: 11,
  xForwardedFor: 12,
  http2Settings: 13,
  date: 14,
  proxyAuthenticate: 15,
  proxyAuthorization: 16,
  /** `l5d-dst-override`, also when spelled with underscores. The same holds for every l5d row. */
  l5dDstOverride: 17,
  l5dRequireId: 18,
  l5dClientId: 19,
  l5dDstCanonical: 20,
  l5dOrigProto: 21,
  l5dProxyError: 22,
  l5dProxyConnection: 23,
} as const;
export type FieldId = (typeof FieldId)[keyof typeof FieldId];

/**
 * How the length of a body is known (RFC 9112 section 6.3). `chunked`: the message's own coding says where it ends, and that it is
 * complete: chunked coding, or HTTP/2's END_STREAM.
 */
export const Framing = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const;
export type Framing = (typeof Framing)[keyof typeof Framing];

/** Numbers per field in `MessageHead.fields`: name start, name end, value start, value end (white space trimmed). */
export const FIELD_STRIDE = 4;

/** Fields per head at most, also where the configured limit is higher: it sizes the tables. */
export const FIELDS_MAX = 256;

const EMPTY = new Uint8Array(0) as Buffer;

/** A parsed head. One object is used again and again: a codec resets it and fills it for each message. */
export class MessageHead {
  /** The bytes; the head occupies [start, start + size) and includes the final empty line. */
  buffer: Buffer = EMPTY;
  start = 0;
  size = 0;

  /** Request: method range. Response: unused. Relative to `start`, like every range below. */
  methodEnd = 0;
  /** Request: the request-target as it was sent. */
  targetStart = 0;
  targetEnd = 0;
  /** Request: one of Method, or `Method.other`. */
  method = 0;
  /** Request: absolute-form target (`http://host/path`); then the authority range below is set from it. */
  isAbsolute = false;
  /** Request in absolute-form: where the origin-form (path and query) begins inside the target. */
  pathStart = 0;
  /** Request: effective authority: of the target if absolute, else of Host. start === end when absent. */
  authorityStart = 0;
  authorityEnd = 0;
  /** True when a Host field is there (its value may be empty). */
  hasHost = false;
  /** Index of the Host field, -1 without one. */
  hostIndex = -1;

  /** Response: the status code, 100 to 999. */
  status = 0;

  /** 10, 11 or 20: what the message was received in. The bytes have the form of an HTTP/1.1 head in any case. */
  version = 11;
  /** From a proxy of the mesh: 10 or 11, in which it got what it sent on as HTTP/2 (`l5d-orig-proto`); 0: nothing was said. */
  originalVersion = 0;
  /** End of the start line, CRLF included: the first field begins here. */
  fieldsStart = 0;

  count = 0;
  readonly fields = new Int32Array(FIELDS_MAX * FIELD_STRIDE);
  readonly ids = new Uint8Array(FIELDS_MAX);
  /** 1 where the field is hop-by-hop because Connection names it (RFC 9110 section 7.6.1). */
  readonly named = new Uint8Array(FIELDS_MAX);
  /** HTTP/2: the peer forbade to put some field into a compression table (RFC 7541 section 7.1.3); only then the flags below count. */
  hasNeverIndexed = false;
  /** HTTP/2: 1 where the field came as a never-indexed literal, and has to leave as one. */
  readonly fieldFlags = new Uint8Array(FIELDS_MAX);
  /** HTTP/2: the same for :path. */
  targetFlags = 0;
  /** True when any field has an id other than `other`, `host`, `contentLength` or `date`, or is named: edits may be due. */
  hasEdits = false;
  /**
   * Unusual white space stands around the value of Host, Content-Length or Transfer-Encoding. Legal, but parsers differ over
   * it: such a line is written anew, as `Name: value`.
   */
  hasOddSpace = false;

  /** Declared Content-Length, -1 without one. At most Number.MAX_SAFE_INTEGER. */
  contentLength = -1;
  /** Transfer-Encoding is exactly `chunked`: the source can deliver the body in wire form. */
  isChunked = false;
  /** A request whose source has begun to deliver a chunked body as payload, for an upstream that did not take the wire form: so will another one get it. */
  isDecoded = false;
  /** Connection options seen. */
  saysClose = false;
  saysKeepAlive = false;
  saysUpgrade = false;
  /** There is an Upgrade field. */
  hasUpgrade = false;
  /** `Expect: 100-continue`. */
  expectsContinue = false;

  /** Framing that follows. Requests: set by the parser. Responses: by `responseFraming`, which needs the method. */
  framing: Framing = Framing.none;

  /** 10, 11 or 20: what the message was sent in, before any proxy of the mesh carried it as HTTP/2. */
  get sentVersion(): number {
    return this.originalVersion === 0 ? this.version : this.originalVersion;
  }

  /** May the sender's connection carry another message after this one (RFC 9112 section 9.3)? */
  get isPersistent(): boolean {
    return !this.saysClose && (this.version === 11 || this.saysKeepAlive);
  }

  /** Forgets the previous message. The tables keep their old numbers beyond `count`. */
  reset(): void {
    this.buffer = EMPTY;
    this.start = 0;
    this.size = 0;
    this.methodEnd = 0;
    this.targetStart = 0;
    this.targetEnd = 0;
    this.method = 0;
    this.isAbsolute = false;
    this.pathStart = 0;
    this.authorityStart = 0;
    this.authorityEnd = 0;
    this.hasHost = false;
    this.hostIndex = -1;
    this.status = 0;
    this.version = 11;
    this.originalVersion = 0;
    this.fieldsStart = 0;
    this.count = 0;
    this.hasNeverIndexed = false;
    this.targetFlags = 0;
    this.hasEdits = false;
    this.hasOddSpace = false;
    this.contentLength = -1;
    this.isChunked = false;
    this.isDecoded = false;
    this.saysClose = false;
    this.saysKeepAlive = false;
    this.saysUpgrade = false;
    this.hasUpgrade = false;
    this.expectsContinue = false;
    this.framing = Framing.none;
  }

  /** Becomes a copy of `other`, bytes and all; they are copied to `target` at 0, which has the room. */
  copyFrom(other: MessageHead, target: Buffer): void {
    other.buffer.copy(target, 0, other.start, other.start + other.size);
    this.buffer = target;
    this.start = 0;
    this.size = other.size;
    this.methodEnd = other.methodEnd;
    this.targetStart = other.targetStart;
    this.targetEnd = other.targetEnd;
    this.method = other.method;
    this.isAbsolute = other.isAbsolute;
    this.pathStart = other.pathStart;
    this.authorityStart = other.authorityStart;
    this.authorityEnd = other.authorityEnd;
    this.hasHost = other.hasHost;
    this.hostIndex = other.hostIndex;
    this.status = other.status;
    this.version = other.version;
    this.originalVersion = other.originalVersion;
    this.fieldsStart = other.fieldsStart;
    const { count } = other;
    this.count = count;
    for (let i = 0; i < count * FIELD_STRIDE; i++) this.fields[i] = other.fields[i]!;
    for (let i = 0; i < count; i++) {
      this.ids[i] = other.ids[i]!;
      this.named[i] = other.named[i]!;
    }
    this.hasNeverIndexed = other.hasNeverIndexed;
    this.targetFlags = other.targetFlags;
    if (other.hasNeverIndexed) for (let i = 0; i < count; i++) this.fieldFlags[i] = other.fieldFlags[i]!;
    this.hasEdits = other.hasEdits;
    this.hasOddSpace = other.hasOddSpace;
    this.contentLength = other.contentLength;
    this.isChunked = other.isChunked;
    this.isDecoded = other.isDecoded;
    this.saysClose = other.saysClose;
    this.saysKeepAlive = other.saysKeepAlive;
    this.saysUpgrade = other.saysUpgrade;
    this.hasUpgrade = other.hasUpgrade;
    this.expectsContinue = other.expectsContinue;
    this.framing = other.framing;
  }

  /** Copies the bytes to `target` at `at` and points the head there; the ranges stay as they are. */
  retainIn(target: Buffer, at: number): void {
    this.buffer.copy(target, at, this.start, this.start + this.size);
    this.buffer = target;
    this.start = at;
  }

  /** For people only (logs, errors): a range as latin1 text. */
  text(from: number, to: number): string {
    return this.buffer.toString("latin1", this.start + from, this.start + to);
  }
}

/** Methods with a meaning for Weft; every other token is `other` and is forwarded as it is. */
export const Method = {
  other: 0,
  get: 1,
  head: 2,
  post: 3,
  put: 4,
  delete: 5,
  connect: 6,
  options: 7,
  trace: 8,
  patch: 9,
} as const;
export type Method = (typeof Method)[keyof typeof Method];

/** Methods that may be sent twice (RFC 9110 section 9.2.2). */
export function isIdempotent(method: number): boolean {
  switch (method) {
    case Method.get:
    case Method.head:
    case Method.put:
    case Method.delete:
    case Method.options:
    case Method.trace:
      return true;
    default:
      return false;
  }
}
