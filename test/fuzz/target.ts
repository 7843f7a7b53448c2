// What a fuzz target is: it makes an input from a seed and judges it. Anything it throws is a finding.

import type { Buffer } from "node:buffer";
import { loadCorpus } from "../support/corpus.ts";
import type { Outcome } from "../support/h1-driver-base.ts";
import { mutate } from "./mutate.ts";
import type { Random } from "./random.ts";

/** Counts what became of the inputs: a fuzzer whose inputs are all refused at once tests nothing. */
export class Tally {
  readonly counts = new Map<string, number>();

  add(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  addOutcome(outcome: Outcome): void {
    this.add(outcome.messages.length > 0 ? "accepted" : "nothing accepted");
    if (outcome.error !== "") this.add(outcome.error);
  }

  get(what: string): number {
    return this.counts.get(what) ?? 0;
  }
}

export interface FuzzTarget {
  /** The input of one run. */
  generate(random: Random): Buffer;
  /** Judges an input; `random` decides about splits and the like. Throws on a finding. */
  check(input: Buffer, random: Random, tally: Tally): void | Promise<void>;
  /** Frees what the target holds. */
  close?(): Promise<void>;
}

export interface TargetOptions {
  /** Use a deliberately broken part: the target must find it. */
  readonly canary: boolean;
}

/** Inputs above this size are left to the corpus's own runner. */
const SEED_BYTES_MAX = 4096;

/** Bytes of the corpus of one kind: what mutations begin with. */
export function corpusInputs(kind: "request" | "response"): Buffer[] {
  return loadCorpus()
    .filter((one) => one.kind === kind)
    .map((one) => (kind === "request" ? one.request : one.response!))
    .filter((bytes) => bytes.length <= SEED_BYTES_MAX);
}

/** A generator that begins with the corpus or with valid messages, and with random bytes now and then. */
export function generator(inputs: readonly Buffer[], valid: (random: Random) => Buffer): (random: Random) => Buffer {
  return (random) => {
    const base = (): Buffer => (random.chance(2) ? random.pick(inputs) : valid(random));
    return random.chance(50) ? random.bytes(random.int(200)) : mutate(base(), random, base);
  };
}
