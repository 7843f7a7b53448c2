// A TLS ClientHello, read before anybody answers it: whom it asks for (SNI) and what it offers to speak (ALPN). Stateless: hand in
// everything read so far, again after each read.
//
// RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1. The message may be spread over several records. Values that
// nobody knows yet (GREASE, new groups) are skipped. Malformed is: another record or message in between, a length that does not fill what
// is around it, an extension or a server name given twice, more than HELLO_BYTES_MAX or HELLO_RECORDS_MAX. A verdict never
// changes when more bytes come. Nothing here decides what the handshake is worth: OpenSSL reads the same bytes again.

import type { Buffer } from "node:buffer";

/** Bytes of a hello, record headers included: ten times what post-quantum browsers send. */
export const HELLO_BYTES_MAX = 16 * 1024;

/** Records that a hello may be spread over: real clients need one, or a few where something on the way splits them. */
export const HELLO_RECORDS_MAX = 32;

/** What a client asks for. */
export interface ClientHello {
  /** The server name as it was sent; null without one. */
  readonly serverName: string | null;
  /** ALPN protocols in the client's order; empty without the extension. */
  readonly protocols: readonly string[];
}

/** A hello, or that more bytes are needed, or that it will never be one. */
export type HelloVerdict = ClientHello | "incomplete" | "malformed";

const RECORD_HEADER = 5;
const HANDSHAKE_HEADER = 4;
const HANDSHAKE = 0x16;
const CLIENT_HELLO = 0x01;
/** Plaintext of a record (RFC 8446 section 5.1). */
const RECORD_BYTES_MAX = 16_384;
const RANDOM_BYTES = 32;
const SESSION_ID_MAX = 32;
const SERVER_NAME = 0;
const ALPN = 16;
const HOST_NAME = 0;

/** Judges the bytes [start, end) that the client has sent since it connected. */
export function readClientHello(buffer: Buffer, start: number, end: number): HelloVerdict {
  const message = gather(buffer, start, end);
  if (typeof message === "string") return message;
  const reader = new Reader(message.bytes, message.from, message.to);
  return readHello(reader) ?? "malformed";
}

/** True unless the bytes [start, end) cannot be the beginning of a hello. */
export function mayBeClientHello(buffer: Buffer, start: number, end: number): boolean {
  return readClientHello(buffer, start, end) !== "malformed";
}

interface Message {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** The handshake message's body out of its records: a range of `buffer` when it is in one of them, a copy otherwise. */
function gather(buffer: Buffer, start: number, end: number): Message | "incomplete" | "malformed" {
  let at = start;
  let gathered = 0;
  /** Bytes of the message with its header; of the header alone until that is here. */
  let wanted = HANDSHAKE_HEADER;
  let isKnown = false;
  const limit = start + HELLO_BYTES_MAX;
  const pieces: { from: number; to: number }[] = [];
  while (gathered < wanted) {
    if (pieces.length === HELLO_RECORDS_MAX) return "malformed";
    const problem = recordProblem(buffer, at, end);
    if (problem !== null) return problem;
    const from = at + RECORD_HEADER;
    const recordEnd = from + uint16(buffer, at + 3);
    if (recordEnd > limit) return "malformed";
    const to = Math.min(recordEnd, end);
    if (to > from) pieces.push({ from, to });
    gathered += to - from;
    if (!isKnown) {
      const header = headerOf(buffer, pieces, gathered);
      if (header === "malformed") return "malformed";
      isKnown = header !== null;
      if (header !== null) wanted = HANDSHAKE_HEADER + header;
      if (wanted > HELLO_BYTES_MAX) return "malformed";
    }
    // A record that goes on behind its message would hold another one, which no client may send now.
    if (isKnown && gathered - (to - from) + (recordEnd - from) > wanted) return "malformed";
    if (to < recordEnd) return "incomplete";
    at = recordEnd;
  }
  return joined(buffer, pieces, gathered);
}

/** Is there a record of a handshake at `at`? Null: yes, its header is all here. */
function recordProblem(buffer: Buffer, at: number, end: number): "incomplete" | "malformed" | null {
  const size = end - at;
  if (size >= 1 && buffer[at] !== HANDSHAKE) return "malformed";
  if (size >= 2 && buffer[at + 1] !== 3) return "malformed";
  if (size >= 3 && (buffer[at + 2]! < 1 || buffer[at + 2]! > 4)) return "malformed";
  if (size < RECORD_HEADER) return "incomplete";
  const length = uint16(buffer, at + 3);
  return length === 0 || length > RECORD_BYTES_MAX ? "malformed" : null;
}

/** The length that the message's header says; null while the header is not complete. */
function headerOf(buffer: Buffer, pieces: readonly { from: number; to: number }[], gathered: number): number | "malformed" | null {
  const header: number[] = [];
  for (const { from, to } of pieces) {
    for (let i = from; i < to && header.length < HANDSHAKE_HEADER; i++) header.push(buffer[i]!);
  }
  if (header.length > 0 && header[0] !== CLIENT_HELLO) return "malformed";
  return gathered < HANDSHAKE_HEADER ? null : header[1]! * 65_536 + header[2]! * 256 + header[3]!;
}

function joined(buffer: Buffer, pieces: readonly { from: number; to: number }[], size: number): Message {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return { bytes: buffer, from: first.from + HANDSHAKE_HEADER, to: first.to };
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const { from, to } of pieces) {
    bytes.set(buffer.subarray(from, to), at);
    at += to - from;
  }
  return { bytes, from: HANDSHAKE_HEADER, to: size };
}

/** Null: malformed. */
function readHello(reader: Reader): ClientHello | null {
  // legacy_version is 3.3 in TLS 1.2 and 1.3, less before; which version it is does not matter here.
  if (reader.byte() !== 3) return null;
  reader.skip(1 + RANDOM_BYTES);
  if (reader.vector(1).size > SESSION_ID_MAX) return null;
  const ciphers = reader.vector(2);
  if (ciphers.size < 2 || ciphers.size % 2 !== 0) return null;
  if (reader.vector(1).size < 1) return null;
  // Before TLS 1.2 a hello may end here.
  if (reader.isOk && reader.size === 0) return { serverName: null, protocols: [] };
  const extensions = reader.vector(2);
  if (!reader.isOk || reader.size !== 0) return null;
  return readExtensions(extensions);
}

function readExtensions(extensions: Reader): ClientHello | null {
  let serverName: string | null = null;
  let protocols: readonly string[] | null = [];
  const seen = new Set<number>();
  while (extensions.size > 0) {
    const type = extensions.uint16();
    const body = extensions.vector(2);
    if (!extensions.isOk || seen.has(type)) return null;
    seen.add(type);
    if (type === SERVER_NAME) {
      serverName = readServerName(body);
      if (serverName === null) return null;
    } else if (type === ALPN) {
      protocols = readProtocols(body);
      if (protocols === null) return null;
    }
  }
  return extensions.isOk ? { serverName, protocols } : null;
}

/** The one host name; other kinds of names exist nowhere, and two names would be one for us and one for somebody else. */
function readServerName(body: Reader): string | null {
  const list = body.vector(2);
  const kind = list.byte();
  const name = list.vector(2);
  if (!list.isOk || !body.isOk || list.size !== 0 || body.size !== 0) return null;
  return kind === HOST_NAME && name.size > 0 ? name.text() : null;
}

function readProtocols(body: Reader): readonly string[] | null {
  const list = body.vector(2);
  if (body.size !== 0 || list.size === 0) return null;
  const protocols: string[] = [];
  while (list.size > 0) {
    const name = list.vector(1);
    if (!list.isOk || name.size === 0) return null;
    protocols.push(name.text());
  }
  return body.isOk ? protocols : null;
}

function uint16(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}

/** Reads within a range and never behind its end: from the first thing that does not fit on, everything is empty and `isOk` false. */
class Reader {
  isOk = true;
  readonly #bytes: Uint8Array;
  #at: number;
  #end: number;

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
  }

  get size(): number {
    return this.#end - this.#at;
  }

  skip(count: number): number {
    const at = this.#at;
    if (this.size < count) {
      this.isOk = false;
      this.#at = this.#end;
      return -1;
    }
    this.#at += count;
    return at;
  }

  byte(): number {
    const at = this.skip(1);
    return at < 0 ? 0 : this.#bytes[at]!;
  }

  uint16(): number {
    const at = this.skip(2);
    return at < 0 ? 0 : uint16(this.#bytes, at);
  }

  /** What a length of so many bytes announces. */
  vector(lengthBytes: 1 | 2): Reader {
    const size = lengthBytes === 1 ? this.byte() : this.uint16();
    const at = this.skip(size);
    return at < 0 ? new Reader(this.#bytes, this.#end, this.#end) : new Reader(this.#bytes, at, at + size);
  }

  /** Latin-1: bytes above ASCII stay apart, none becomes another. */
  text(): string {
    let text = "";
    for (let i = this.#at; i < this.#end; i++) text += String.fromCharCode(this.#bytes[i]!);
    return text;
  }
}
