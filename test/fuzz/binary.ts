// What the targets for readers of binary beginnings have in common: damage to bytes, and the promises of a reader that is asked again after each read.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Random } from "./random.ts";

/** Changes a few things about the bytes; often nothing. */
export function damaged(random: Random, bytes: Buffer): Buffer {
  if (random.chance(3)) return bytes;
  let out = Buffer.from(bytes);
  for (let n = 1 + random.int(3); n > 0; n--) {
    const at = random.int(out.length + 1);
    switch (random.int(6)) {
      case 0:
        if (at < out.length) out[at] = random.int(256);
        break;
      case 1:
        if (at < out.length) out[at]! ^= 1 << random.int(8);
        break;
      case 2:
        out = Buffer.concat([out.subarray(0, at), random.bytes(1 + random.int(3)), out.subarray(at)]);
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(Math.min(out.length, at + 1 + random.int(3)))]);
        break;
      case 4:
        out = out.subarray(0, at);
        break;
      default:
        out = Buffer.concat([out, random.bytes(1 + random.int(20))]);
    }
  }
  return out;
}

/** A reader of [start, end). */
export type Read<T> = (buffer: Buffer, start: number, end: number) => T;

/** Reads `bytes` in the midst of other memory, twice: what stands around them must not matter. */
export function readGuarded<T>(read: Read<T>, bytes: Buffer): T {
  const [one, other] = [0x00, 0xff].map((fill) => {
    const guard = Buffer.alloc(16, fill);
    return read(Buffer.concat([guard, bytes, guard]), guard.length, guard.length + bytes.length);
  }) as [T, T];
  assert.deepEqual(other, one, "what stands around the bytes matters");
  return one;
}

/** Beginnings of the bytes to look at: all of them when there are few, else some; the last one is not whole. */
export function beginnings(random: Random, size: number): number[] {
  if (size <= 64) return Array.from({ length: size }, (_, i) => i);
  return [0, ...random.cuts(size, 24), size - 1];
}
