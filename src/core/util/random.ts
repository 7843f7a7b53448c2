// Random numbers for balancing and jitter: fast, repeatable from a seed, no secret ever.
//
// xorshift with 128 bits of state (Marsaglia, "Xorshift RNGs", 2003): a few shifts per number, period 2^128 - 1. The seed
// comes from outside (`core` reads no randomness); workers must get different ones, or their choices move in step.
// Refuses nothing: the seed is spread over the state by a mixing step, so 0, negative and fractional seeds are fine.

/** Draws a number in [0, 1). */
export type Random = () => number;

const TWO_POW_32 = 4_294_967_296;

/** A generator seeded with the integer part of `seed` modulo 2^32. Two with one seed give the same sequence. */
export function createRandom(seed: number): Random {
  // Typed, so that storing the state never makes a heap number.
  const state = new Int32Array(4);
  let mixed = seed | 0;
  for (let i = 0; i < 4; i++) {
    // One step of a Weyl sequence, then murmur3's finaliser: seeds that differ in one bit give unrelated states.
    mixed = (mixed + 0x9e3779b9) | 0;
    let bits = mixed;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    state[i] = bits ^ (bits >>> 16);
  }
  // The one state that xorshift never leaves.
  if ((state[0]! | state[1]! | state[2]! | state[3]!) === 0) state[0] = 1;

  return () => {
    let t = state[3]!;
    const s = state[0]!;
    state[3] = state[2]!;
    state[2] = state[1]!;
    state[1] = s;
    t ^= t << 11;
    t ^= t >>> 8;
    t ^= s ^ (s >>> 19);
    state[0] = t;
    return (t >>> 0) / TWO_POW_32;
  };
}

/** A uniform index in [0, count); `count` at least 1. */
export function randomIndex(random: Random, count: number): number {
  return (random() * count) | 0;
}
