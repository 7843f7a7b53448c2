// Linkerd's transport header (linkerd.md 8.5): what stands before the bytes of a connection that a proxy of Linkerd opens to another one's 4143.
//
//   "transport.l5d.io/v1" CR LF CR LF   u32 length, big-endian   Header (protobuf)   the connection's own bytes
//
// Header: port 1 (int32), name 2 (string), session_protocol 3 (message: http1 1 | http2 2, both empty messages). Strict: refused are another preface, a
// message that is empty or longer than `MESSAGE_BYTES_MAX`, a port outside of 1 to 65535, a name that is no host name, a field of the wrong wire type, integers
// longer than they may be, lengths that point behind the message. Fields that are unknown are skipped, as protobuf asks for; of a field that is there twice the last counts.

import { Buffer } from "node:buffer";

/** What a connection that begins with the header negotiates. */
export const TRANSPORT_ALPN = "transport.l5d.io/v1";

const PREFACE = Buffer.from(`${TRANSPORT_ALPN}\r\n\r\n`, "latin1");
/** Bytes before the message: the preface and its length. */
const FRONT_BYTES = PREFACE.length + 4;

/** Bytes. A host name and two numbers: four times what they can be. */
export const MESSAGE_BYTES_MAX = 1024;

const PORT_MAX = 65_535;
const NAME_BYTES_MAX = 255;
const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?(:[0-9]{1,5})?$/;

const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

export type SessionProtocol = "opaque" | "http1" | "http2";

export interface TransportHeader {
  /** 1 to 65535. */
  readonly port: number;
  /** Set for a gateway; empty: for the proxy's own workload. */
  readonly name: string;
  readonly sessionProtocol: SessionProtocol;
}

export interface DecodedHeader {
  readonly header: TransportHeader;
  /** Where the connection's own bytes begin. */
  readonly end: number;
}

/** Reads the header at the beginning of [start, end). `incomplete`: more has to come; `malformed`: nothing that comes can help. */
export function decodeTransportHeader(buffer: Buffer, start: number, end: number): DecodedHeader | "incomplete" | "malformed" {
  const seen = Math.min(end - start, PREFACE.length);
  if (buffer.compare(PREFACE, 0, seen, start, start + seen) !== 0) return "malformed";
  if (end - start < FRONT_BYTES) return "incomplete";
  const size = buffer.readUInt32BE(start + PREFACE.length);
  if (size === 0 || size > MESSAGE_BYTES_MAX) return "malformed";
  const message = start + FRONT_BYTES;
  if (end - message < size) return "incomplete";
  const header = decodeMessage(buffer, message, message + size);
  return header === null ? "malformed" : { header, end: message + size };
}

/** The whole header, as it stands before the connection's bytes. `port`: 1 to 65535; `name`: a host name of up to 255 bytes, or empty. */
export function encodeTransportHeader({ port, name, sessionProtocol }: TransportHeader): Buffer {
  const text = Buffer.from(name, "latin1");
  const parts = [0x08, ...varint(port)];
  if (text.length > 0) parts.push(0x12, ...varint(text.length), ...text);
  if (sessionProtocol !== "opaque") parts.push(0x1a, 2, sessionProtocol === "http1" ? 0x0a : 0x12, 0);
  const front = Buffer.alloc(4);
  front.writeUInt32BE(parts.length);
  return Buffer.concat([PREFACE, front, Buffer.from(parts)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** A place in a message, and what was read there last; -1: nothing that may be there. */
class Reader {
  readonly #buffer: Buffer;
  readonly #end: number;
  at: number;

  constructor(buffer: Buffer, start: number, end: number) {
    this.#buffer = buffer;
    this.at = start;
    this.#end = end;
  }

  get isDone(): boolean {
    return this.at === this.#end;
  }

  /** Up to 2^31 - 1 in at most five bytes. */
  integer(): number {
    let value = 0;
    for (let i = 0; i < 5 && this.at < this.#end; i++) {
      const byte = this.#buffer[this.at++]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value > 0x7fffffff ? -1 : value;
    }
    return -1;
  }

  /** The end of `size` bytes from here, which are skipped. */
  skip(size: number): number {
    if (size < 0 || size > this.#end - this.at) return -1;
    this.at += size;
    return this.at;
  }

  /** A field that is unknown. False: it cannot be skipped. */
  skipField(wire: number): boolean {
    switch (wire) {
      case Wire.varint:
        return this.#skipVarint();
      case Wire.fixed64:
        return this.skip(8) >= 0;
      case Wire.bytes:
        return this.skip(this.integer()) >= 0;
      case Wire.fixed32:
        return this.skip(4) >= 0;
      default:
        return false;
    }
  }

  /** Ten bytes at most, as any varint. */
  #skipVarint(): boolean {
    for (let i = 0; i < 10 && this.at < this.#end; i++) if (this.#buffer[this.at++]! < 0x80) return true;
    return false;
  }
}

function decodeMessage(buffer: Buffer, start: number, end: number): TransportHeader | null {
  const reader = new Reader(buffer, start, end);
  let port = 0;
  let name = "";
  let sessionProtocol: SessionProtocol | null = "opaque";
  while (!reader.isDone) {
    const key = reader.integer();
    const field = key >>> 3;
    const wire = key & 7;
    if (key < 0 || field === 0) return null;
    if (field > 3) {
      if (!reader.skipField(wire)) return null;
      continue;
    }
    if (wire !== (field === 1 ? Wire.varint : Wire.bytes)) return null;
    const value = reader.integer();
    if (value < 0) return null;
    if (field === 1) {
      port = value;
      continue;
    }
    const from = reader.at;
    const to = reader.skip(value);
    if (to < 0) return null;
    if (field === 2) name = buffer.toString("latin1", from, to);
    else sessionProtocol = decodeSession(buffer, from, to);
    if (sessionProtocol === null) return null;
  }
  if (port < 1 || port > PORT_MAX) return null;
  if (name !== "" && (name.length > NAME_BYTES_MAX || !NAME.test(name))) return null;
  return { port, name, sessionProtocol };
}

/** One of two messages, which have nothing inside that is known. */
function decodeSession(buffer: Buffer, start: number, end: number): SessionProtocol | null {
  const reader = new Reader(buffer, start, end);
  let protocol: SessionProtocol = "opaque";
  while (!reader.isDone) {
    const key = reader.integer();
    const field = key >>> 3;
    if (key < 0 || field === 0) return null;
    if (field <= 2 && (key & 7) !== Wire.bytes) return null;
    if (!reader.skipField(key & 7)) return null;
    if (field === 1) protocol = "http1";
    else if (field === 2) protocol = "http2";
  }
  return protocol;
}
