// Bodies of any size from a seed: distinct for each seed, different at every position, never in memory as a whole.
//
// The bytes are AES-CTR's key stream, so a chunk that is lost, doubled or swapped with another body's changes the hash.

import { createCipheriv, createHash, type Hash } from "node:crypto";

const CHUNK_BYTES = 64 * 1024;

/** The content in order. */
export class SeededContent {
  readonly #cipher;
  #left: number;

  constructor(seed: number, size: number) {
    const key = Buffer.alloc(16);
    key.writeDoubleLE(seed);
    this.#cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
    this.#left = size;
  }

  /** The next bytes, at most `size`; empty at the end. */
  next(size = CHUNK_BYTES): Buffer {
    const take = Math.min(size, this.#left);
    this.#left -= take;
    return this.#cipher.update(Buffer.alloc(take));
  }
}

/** The whole content; for sizes that fit. */
export function seededBuffer(seed: number, size: number): Buffer {
  return new SeededContent(seed, size).next(size);
}

/** SHA-256 of the content, hexadecimal. */
export function seededHash(seed: number, size: number): string {
  const content = new SeededContent(seed, size);
  const hash: Hash = createHash("sha256");
  for (let chunk = content.next(); chunk.length > 0; chunk = content.next()) hash.update(chunk);
  return hash.digest("hex");
}
