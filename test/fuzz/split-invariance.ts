// Targets request-head and response-head: whatever the bytes are, the codec does not throw, does not leave its range (the
// driver's guards), and concludes the same however they are split.

import assert from "node:assert/strict";
import type { Buffer } from "node:buffer";
import type { MessageHead } from "../../src/core/http/head.ts";
import { type HeadLimits, RequestHeadParser, ResponseHeadParser } from "../../src/core/h1/head-parser.ts";
import { DEFAULT_HEAD_LIMITS, driveRequest, driveResponse, type HeadParser, type RequestFacts } from "../support/h1-driver.ts";
import { everyCut, type Outcome } from "../support/h1-driver-base.ts";
import { canonicalWire } from "../support/wire-form.ts";
import { validRequests, validResponse } from "./mutate.ts";
import type { Random } from "./random.ts";
import { corpusInputs, type FuzzTarget, generator, type TargetOptions } from "./target.ts";

/** The canary: a parser that looks one byte further than it may. */
class GreedyParser implements HeadParser {
  readonly #parser: HeadParser;

  constructor(parser: HeadParser) {
    this.#parser = parser;
  }

  get isBlank(): boolean {
    return this.#parser.isBlank === true;
  }

  reset(): void {
    this.#parser.reset();
  }

  parse(buf: Buffer, start: number, end: number, head: MessageHead): number {
    const size = this.#parser.parse(buf, start, Math.min(end + 1, buf.length), head);
    return size > end - start ? end - start : size;
  }
}

/** Limits now and then so small that they matter. */
function limitsOf(random: Random): HeadLimits {
  if (!random.chance(4)) return DEFAULT_HEAD_LIMITS;
  return { headerBytesMax: 1 + random.int(200), headerCountMax: 1 + random.int(8) };
}

/** Two outcomes of the same bytes, whatever their splits, mean the same. */
export function assertSame(a: Outcome, b: Outcome, kind: "request" | "response", isHead: boolean): void {
  assert.equal(b.error, a.error, "error");
  assert.equal(b.stage, a.stage, "stage");
  assert.equal(b.incomplete, a.incomplete, "incomplete");
  assert.equal(b.surplus, a.surplus, "surplus");
  const last = a.stage === "body" ? a.messages.length - 1 : -1;
  const facts = (outcome: Outcome): unknown[] =>
    // Of a body that turns out bad, more or less has gone on before that showed.
    outcome.messages.map((message, i) => (i === last ? { ...message, payload: null } : message));
  assert.deepEqual(facts(b), facts(a), "messages");
  const options = { kind, isHead: () => isHead };
  const [one, other] = [canonicalWire(a.forward, options), canonicalWire(b.forward, options)];
  if (a.stage === "body") assert.ok(one.startsWith(other) || other.startsWith(one), "what went on of a bad body");
  else assert.equal(other, one, "forwarded");
}

function splitsOf(size: number, random: Random): number[][] {
  return [random.cuts(size, 1), random.cuts(size, 2), random.cuts(size, 12), everyCut(size)];
}

export function requestHeadTarget(options: TargetOptions): FuzzTarget {
  const makeParser = options.canary ? (limits: HeadLimits) => new GreedyParser(new RequestHeadParser(limits)) : undefined;
  return {
    generate: generator(corpusInputs("request"), validRequests),
    check(input, random, tally) {
      const limits = limitsOf(random);
      const whole = driveRequest(input, [], limits, makeParser);
      tally.addOutcome(whole);
      for (const cuts of splitsOf(input.length, random)) assertSame(whole, driveRequest(input, cuts, limits, makeParser), "request", false);
    },
  };
}

export function responseHeadTarget(options: TargetOptions): FuzzTarget {
  const makeParser = options.canary ? (limits: HeadLimits) => new GreedyParser(new ResponseHeadParser(limits)) : undefined;
  return {
    generate: generator(corpusInputs("response"), validResponse),
    check(input, random, tally) {
      const limits = limitsOf(random);
      const method = random.pick([1, 1, 1, 2, 3]);
      const request: RequestFacts = { method, version: random.chance(4) ? 10 : 11, isPersistent: random.chance(2), isUpgrade: false };
      const whole = driveResponse(request, input, [], limits, makeParser);
      tally.addOutcome(whole);
      // To an HTTP/1.0 client a decoded body has no framing: what was written is compared as it is.
      for (const cuts of splitsOf(input.length, random)) {
        assertSame(whole, driveResponse(request, input, cuts, limits, makeParser), "response", method === 2);
      }
    },
  };
}
