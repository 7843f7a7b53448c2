// A second HPACK decoder: slow, obvious, with strings, arrays and exceptions, written from RFC 7541 alone. The real one must do what it does.
//
// It shares nothing with the real one but the lengths of Appendix B's codes (checked by a test of their own). It knows the codec's rules, not
// HTTP/2's: what a name or a value may be is judged by `faultOf`, limits by whoever calls.

import type { Buffer } from "node:buffer";
import { CODE_LENGTHS } from "../../src/core/hpack/huffman-code.ts";

export interface ReferenceField {
  readonly name: string;
  readonly value: string;
  readonly never: boolean;
}

/** The block is malformed; the message says how. */
export class CompressionError extends Error {}

const STATIC: readonly string[] = `
:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|:status 206|:status 304
:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|accept
access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|content-length
content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range
if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server
set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
  .trim()
  .split(/[|\n]/);

/** Bits of a code to its symbol, as text: "00000" is "0". */
const SYMBOLS = new Map<string, number>();
{
  const symbols = [...CODE_LENGTHS.keys()].sort((a, b) => CODE_LENGTHS[a]! - CODE_LENGTHS[b]! || a - b);
  let code = 0;
  let size = 0;
  for (const symbol of symbols) {
    code *= 2 ** (CODE_LENGTHS[symbol]! - size);
    size = CODE_LENGTHS[symbol]!;
    SYMBOLS.set(code.toString(2).padStart(size, "0"), symbol);
    code++;
  }
}

export function referenceHuffman(bytes: Uint8Array): string {
  let text = "";
  let code = "";
  for (const byte of bytes) {
    for (const bit of byte.toString(2).padStart(8, "0")) {
      code += bit;
      const symbol = SYMBOLS.get(code);
      if (symbol === undefined) continue;
      if (symbol === 256) throw new CompressionError("EOS");
      text += String.fromCharCode(symbol);
      code = "";
    }
  }
  if (code.length > 7 || code.includes("0")) throw new CompressionError("padding");
  return text;
}

export class ReferenceDecoder {
  /** Newest first. */
  readonly table: { readonly name: string; readonly value: string }[] = [];
  #maxSize = 4096;
  #limit = 4096;
  #required: number | null = null;
  #bytes: Uint8Array = new Uint8Array(0);
  #pos = 0;

  setTableLimit(limit: number): void {
    this.#limit = limit;
    if (limit < this.#maxSize) this.#required = Math.min(limit, this.#required ?? limit);
  }

  get tableSize(): number {
    return this.table.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
  }

  decode(bytes: Buffer): ReferenceField[] {
    this.#bytes = bytes;
    this.#pos = 0;
    const fields: ReferenceField[] = [];
    let updates = 0;
    while (this.#pos < bytes.length) {
      const first = bytes[this.#pos]!;
      if (first >> 5 === 1) {
        if (fields.length > 0 || ++updates > 2) throw new CompressionError("a size update out of place");
        this.#resize(this.#integer(5));
        continue;
      }
      if (this.#required !== null) throw new CompressionError("no size update");
      if (first >> 7 === 1) fields.push({ ...this.#entry(this.#integer(7)), never: false });
      else if (first >> 6 === 1) {
        const field = this.#literal(6);
        fields.push({ ...field, never: false });
        this.table.unshift(field);
        this.#evict();
      } else fields.push({ ...this.#literal(4), never: first >> 4 === 1 });
    }
    if (this.#required !== null) throw new CompressionError("no size update");
    return fields;
  }

  #resize(size: number): void {
    if (size > this.#limit) throw new CompressionError("a size update above the limit");
    if (this.#required !== null && size > this.#required) throw new CompressionError("no size update to the smallest limit");
    this.#required = null;
    this.#maxSize = size;
    this.#evict();
  }

  #evict(): void {
    while (this.tableSize > this.#maxSize) this.table.pop();
  }

  #literal(prefix: number): { name: string; value: string } {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#entry(index).name;
    return { name, value: this.#string() };
  }

  #entry(index: number): { name: string; value: string } {
    if (index >= 1 && index <= 61) {
      const [, name, value] = /^(\S+) ?(.*)$/.exec(STATIC[index - 1]!)!;
      return { name: name!, value: value! };
    }
    const entry = this.table[index - 62];
    if (index < 62 || entry === undefined) throw new CompressionError("no such entry");
    return entry;
  }

  #byte(): number {
    const byte = this.#bytes[this.#pos++];
    if (byte === undefined) throw new CompressionError("the block ends too early");
    return byte;
  }

  #integer(prefix: number): number {
    const full = 2 ** prefix - 1;
    const start = this.#byte() & full;
    if (start < full) return start;
    let value = BigInt(full);
    for (let i = 0n; i < 5n; i++) {
      const byte = this.#byte();
      value += BigInt(byte % 128) << (7n * i);
      if (value > 2n ** 31n - 1n) throw new CompressionError("an integer too large");
      if (byte < 128) return Number(value);
    }
    throw new CompressionError("an integer too long");
  }

  #string(): string {
    if (this.#pos >= this.#bytes.length) throw new CompressionError("the block ends too early");
    const isHuffman = this.#bytes[this.#pos]! >= 128;
    const size = this.#integer(7);
    if (this.#pos + size > this.#bytes.length) throw new CompressionError("the block ends too early");
    const bytes = this.#bytes.subarray(this.#pos, this.#pos + size);
    this.#pos += size;
    return isHuffman ? referenceHuffman(bytes) : String.fromCharCode(...bytes);
  }
}

const PSEUDO = [":method", ":scheme", ":authority", ":path", ":status", ":protocol"];

/** Is a list of fields what HTTP/2 does not allow anywhere (RFC 9113 sections 8.2.1 and 8.3)? */
export function isMalformed(fields: readonly ReferenceField[]): boolean {
  const names = fields.map(({ name }) => name);
  const firstRegular = names.findIndex((name) => !name.startsWith(":"));
  return fields.some(({ name, value }, i) => {
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value) || /^[\t ]|[\t ]$/.test(value)) return true;
    if (!name.startsWith(":")) return !/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name);
    if (!PSEUDO.includes(name) || names.indexOf(name) !== i) return true;
    return firstRegular >= 0 && firstRegular < i;
  });
}
