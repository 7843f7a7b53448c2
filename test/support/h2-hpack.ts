// HPACK for tests (RFC 7541), slow and obvious, and apart from src/core/hpack: an encoder without memory, and a full decoder.
//
// The encoder writes literals that are never put into a table, unless a test asks for another representation by name; so a block
// means the same wherever it is sent. The decoder keeps a dynamic table and refuses what the RFC calls a decoding error.

import { huffmanDecode, huffmanEncode } from "./h2-huffman.ts";

export type Fields = readonly (readonly [name: string, value: string])[];

/** RFC 7541 Appendix A; index 1 is the first. */
const STATIC_TABLE: Fields = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ...(
    "accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control content-disposition " +
    "content-encoding content-language content-length content-location content-range content-type cookie date etag expect expires " +
    "from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards " +
    "proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security " +
    "transfer-encoding user-agent vary via www-authenticate"
  )
    .split(" ")
    .map((name) => [name, ""] as const),
];

/** Entries of the static table: the dynamic one begins behind. */
export const STATIC_ENTRIES = 61;
/** Size of a dynamic table before any SETTINGS, in octets. */
export const TABLE_BYTES_DEFAULT = 4_096;
/** What an entry counts beside its name and value (RFC 7541 4.1). */
const ENTRY_OVERHEAD_BYTES = 32;

/** An integer with a prefix of `prefixBits`, below the bits of `pattern` (RFC 7541 5.1). */
export function integer(value: number, prefixBits: number, pattern = 0): Buffer {
  const max = 2 ** prefixBits - 1;
  if (value < max) return Buffer.from([pattern | value]);
  const octets = [pattern | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) octets.push((rest % 128) | 128);
  octets.push(rest);
  return Buffer.from(octets);
}

/** A string literal (RFC 7541 5.2). */
export function stringLiteral(text: string, huffman = false): Buffer {
  const bytes = huffman ? huffmanEncode(text) : Buffer.from(text, "latin1");
  return Buffer.concat([integer(bytes.length, 7, huffman ? 0x80 : 0), bytes]);
}

/** Representations of literal fields (RFC 7541 6.2): bits of the first octet, and how many bits the index has. */
export const LITERALS = {
  "with incremental indexing": { pattern: 0x40, prefixBits: 6 },
  "without indexing": { pattern: 0x00, prefixBits: 4 },
  "never indexed": { pattern: 0x10, prefixBits: 4 },
} as const;

export type LiteralKind = keyof typeof LITERALS;

/** A literal field; `name` as text, or as the index of an entry. */
export function literal(kind: LiteralKind, name: string | number, value: string, huffman = false): Buffer {
  const { pattern, prefixBits } = LITERALS[kind];
  const first = integer(typeof name === "number" ? name : 0, prefixBits, pattern);
  return Buffer.concat([first, typeof name === "number" ? Buffer.alloc(0) : stringLiteral(name, huffman), stringLiteral(value, huffman)]);
}

export function indexed(index: number): Buffer {
  return integer(index, 7, 0x80);
}

export function tableSizeUpdate(bytes: number): Buffer {
  return integer(bytes, 5, 0x20);
}

/** A whole block of plain literals. */
export function block(fields: Fields): Buffer {
  return Buffer.concat(fields.map(([name, value]) => literal("without indexing", name, value)));
}

export class HpackDecoder {
  /** Newest first. */
  #table: (readonly [string, string])[] = [];
  #tableBytesMax = TABLE_BYTES_DEFAULT;
  /** What our SETTINGS allow the peer. */
  #tableBytesAllowed = TABLE_BYTES_DEFAULT;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  /** A new limit. What is in the table beyond it goes, as the encoder has to know (RFC 7541 4.2). */
  allow(bytes: number): void {
    this.#tableBytesAllowed = bytes;
    this.#tableBytesMax = Math.min(this.#tableBytesMax, bytes);
    this.#evict();
  }

  decode(bytes: Buffer): Fields {
    this.#bytes = bytes;
    this.#at = 0;
    const fields: (readonly [string, string])[] = [];
    while (this.#at < bytes.length) {
      const first = bytes[this.#at]!;
      if (first >= 0x80) fields.push(this.#entry(this.#integer(7)));
      else if (first >= 0x40) fields.push(this.#insert(this.#literal(6)));
      else if (first >= 0x20) this.#resize(this.#integer(5), fields.length);
      else fields.push(this.#literal(4));
    }
    return fields;
  }

  #octet(): number {
    if (this.#at >= this.#bytes.length) throw new Error("the block ends inside of a field (RFC 7541 5)");
    return this.#bytes[this.#at++]!;
  }

  #integer(prefixBits: number): number {
    const max = 2 ** prefixBits - 1;
    let value = this.#octet() & max;
    if (value < max) return value;
    for (let factor = 1; ; factor *= 128) {
      const octet = this.#octet();
      value += (octet & 127) * factor;
      if (value >= 2 ** 32) throw new Error("an integer beyond 32 bits (RFC 7541 5.1)");
      if (octet < 128) return value;
    }
  }

  #string(): string {
    const isHuffman = (this.#bytes[this.#at] ?? 0) >= 0x80;
    const size = this.#integer(7);
    if (this.#at + size > this.#bytes.length) throw new Error("the block ends inside of a string (RFC 7541 5.2)");
    const bytes = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    return isHuffman ? huffmanDecode(bytes) : bytes.toString("latin1");
  }

  #literal(prefixBits: number): readonly [string, string] {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#string() : this.#entry(index)[0];
    return [name, this.#string()];
  }

  #entry(index: number): readonly [string, string] {
    const entry = index <= STATIC_ENTRIES ? STATIC_TABLE[index - 1] : this.#table[index - STATIC_ENTRIES - 1];
    if (entry === undefined) throw new Error(`no entry has index ${index} (RFC 7541 2.3.3)`);
    return entry;
  }

  #insert(field: readonly [string, string]): readonly [string, string] {
    this.#table.unshift(field);
    this.#evict();
    return field;
  }

  #resize(bytes: number, fieldsBefore: number): void {
    if (fieldsBefore > 0) throw new Error("a size update behind a field (RFC 7541 4.2)");
    if (bytes > this.#tableBytesAllowed)
      throw new Error(`a table of ${bytes} bytes, allowed are ${this.#tableBytesAllowed} (RFC 7541 6.3)`);
    this.#tableBytesMax = bytes;
    this.#evict();
  }

  #evict(): void {
    const size = (): number => this.#table.reduce((sum, [name, value]) => sum + name.length + value.length + ENTRY_OVERHEAD_BYTES, 0);
    while (size() > this.#tableBytesMax) this.#table.pop();
  }
}
