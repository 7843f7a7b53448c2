// Encodes strings with the Huffman code of RFC 7541 Appendix B.
//
// Off by default (native-notes/hpack.md): it saves a fifth of a literal's bytes and costs both sides several times what copying them does.

import { CODE_LENGTHS, CODES } from "./huffman-code.ts";

/** Bytes of [start, end) once it is encoded. */
export function huffmanSize(buf: Uint8Array, start: number, end: number): number {
  let bits = 0;
  for (let p = start; p < end; p++) bits += CODE_LENGTHS[buf[p]!]!;
  return Math.ceil(bits / 8);
}

/** Encodes [start, end) to `out` at `at`; returns the offset behind it, `huffmanSize` bytes further. */
export function encodeHuffman(buf: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let acc = 0;
  // Never more than 7 before a symbol; 30 more do not fit 32 bits, so a long code goes in two halves.
  let bits = 0;
  let o = at;
  for (let p = start; p < end; p++) {
    const byte = buf[p]!;
    const size = CODE_LENGTHS[byte]!;
    const code = CODES[byte]!;
    if (size > 24) {
      acc = (acc << 16) | (code >>> (size - 16));
      bits += 16;
      while (bits >= 8) {
        bits -= 8;
        out[o++] = acc >>> bits;
      }
      acc = (acc << (size - 16)) | (code & ((1 << (size - 16)) - 1));
      bits += size - 16;
    } else {
      acc = (acc << size) | code;
      bits += size;
    }
    while (bits >= 8) {
      bits -= 8;
      out[o++] = acc >>> bits;
    }
  }
  if (bits > 0) out[o++] = (acc << (8 - bits)) | (0xff >>> bits);
  return o;
}
