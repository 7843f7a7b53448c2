// Seeded randomness: the same seed gives the same run on every machine and every version of Node.

import { Buffer } from "node:buffer";

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds must not begin alike.
    for (let i = 0; i < 4; i++) this.next();
  }

  /** 32 bits (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  }

  /** 0 to `below` - 1. */
  int(below: number): number {
    return below <= 1 ? 0 : this.next() % below;
  }

  chance(oneIn: number): boolean {
    return this.int(oneIn) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)]!;
  }

  bytes(size: number): Buffer {
    return Buffer.from(Array.from({ length: size }, () => this.int(256)));
  }

  /** Up to `count` different positions inside of `size` bytes, ascending. */
  cuts(size: number, count: number): number[] {
    const cuts = new Set<number>();
    for (let i = 0; i < count && size > 1; i++) cuts.add(1 + this.int(size - 1));
    return [...cuts].sort((a, b) => a - b);
  }
}
