// Every case of the corpus (test/fixtures/h1) through parsers, chunk scanner and writers: whole, split at every position,
// byte by byte, and behind another valid message. The same cases run through a proxy in test/scenarios/corpus-proxy.test.ts.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { ERRORS, type ErrorCode } from "../../../src/core/errors/error-codes.ts";
import { Detected, detectProtocol } from "../../../src/core/tcp/detect.ts";
import { type CorpusCase, escapeBytes, type ExpectedMessage, loadCorpus } from "../../support/corpus.ts";
import { DEFAULT_HEAD_LIMITS, driveRequest, driveResponse, requestFacts } from "../../support/h1-driver.ts";
import { cutAt, everyCut, type Outcome } from "../../support/h1-driver-base.ts";
import { canonicalWire, readWire } from "../../support/wire-form.ts";

const cases = loadCorpus();

/** Inputs up to this size are split at every position; of larger ones, at those where something may happen. */
const SPLIT_EVERYWHERE_BYTES = 3000;

const PREFIXES = [
  Buffer.from("GET /first HTTP/1.1\r\nHost: web\r\nX-A: 1\r\n\r\n"),
  Buffer.from("POST /first HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"),
  Buffer.from("PUT /first HTTP/1.1\r\nHost: web\r\nContent-Length: 3\r\n\r\nabc"),
];

function splitPositions(size: number): number[] {
  const all = everyCut(size);
  return size <= SPLIT_EVERYWHERE_BYTES ? all : all.filter((at) => at < 60 || at > size - 60 || at % 997 === 0 || at % 4096 < 2);
}

function limitsOf(one: CorpusCase): typeof DEFAULT_HEAD_LIMITS {
  return { ...DEFAULT_HEAD_LIMITS, ...one.limits };
}

function drive(one: CorpusCase, cuts: readonly number[]): Outcome {
  if (one.kind === "request") return driveRequest(one.request, cuts, limitsOf(one));
  return driveResponse(requestFacts(one.request), one.response!, cuts, limitsOf(one));
}

/** For messages that a person reads: bytes as in the corpus. */
function shown(message: ExpectedMessage): Record<string, unknown> {
  return { ...message, payload: escapeBytes(message.payload), trailers: escapeBytes(message.trailers) };
}

const bodiless = (one: CorpusCase): boolean => one.request.toString("latin1").startsWith("HEAD ");

/** What must be true of the outcome however the bytes were split. */
function check(one: CorpusCase, outcome: Outcome, mode: string, isWhole: boolean, messages = one.messages, forward = one.forward): void {
  const context = `${one.file}:${one.line} ${mode}`;
  const byParser = one.reject?.by === "parser" ? one.reject : null;
  if (byParser === null) assert.equal(outcome.error, "", `${context}: refused`);
  else {
    assert.ok(
      byParser.codes.includes(outcome.error),
      `${context}: ${outcome.error === "" ? "accepted" : outcome.error}, not ${byParser.codes.join(" or ")}`,
    );
    assert.equal(outcome.stage, byParser.stage, `${context}: where it was refused`);
  }
  assert.equal(outcome.incomplete, one.incomplete, `${context}: incomplete`);
  const isPartial = one.reject?.stage === "body" || one.incomplete === "body";
  const expected = messages.map((message, i) =>
    shown(isPartial && i === messages.length - 1 ? { ...message, payload: outcome.messages[i]?.payload ?? message.payload } : message),
  );
  assert.deepEqual(outcome.messages.map(shown), expected, `${context}: messages`);
  // What the proxy decides is tried in the proxy: CONNECT, and in which form a body without an end of its own goes on.
  if (one.reject?.by === "proxy" || one.messages.at(-1)?.body === "close") return;
  const options = { kind: one.kind, isHead: () => bodiless(one) };
  const target = one.kind === "response" ? one.client : forward;
  const got = canonicalWire(outcome.forward, options);
  const wanted = canonicalWire(target, options);
  if (one.reject?.stage === "body") {
    assert.ok(
      wanted.startsWith(got),
      `${context}: forwarded\n${escapeBytes(outcome.forward)}\nwhich is no beginning of\n${escapeBytes(target)}`,
    );
    assert.ok(readWire(outcome.forward, options).at(-1)?.isComplete !== true, `${context}: a complete message went on`);
  } else if (one.kind === "response" && one.reject !== null) return;
  else if (isWhole) assert.equal(escapeBytes(outcome.forward), escapeBytes(target), `${context}: forwarded`);
  else assert.equal(got, wanted, `${context}: forwarded`);
}

function runCase(one: CorpusCase): void {
  const bytes = one.kind === "request" ? one.request : one.response!;
  check(one, drive(one, []), "whole", true);
  check(one, drive(one, everyCut(bytes.length)), "byte by byte", false);
  for (const at of splitPositions(bytes.length)) check(one, drive(one, [at]), `split at ${at}`, false);
  if (one.kind === "response") return;
  for (const prefix of PREFIXES) {
    const first = driveRequest(prefix);
    assert.equal(first.messages.length, 1);
    const both = Buffer.concat([prefix, bytes]);
    const messages = [...first.messages, ...one.messages];
    const forward = Buffer.concat([first.forward, one.forward]);
    const run = (cuts: readonly number[]): Outcome => driveRequest(both, cuts, limitsOf(one));
    check(one, run([]), "behind another message", true, messages, forward);
    for (const at of splitPositions(bytes.length).filter((cut) => cut % 3 === 0)) {
      check(one, run([prefix.length + at]), `behind another message, split at ${at}`, false, messages, forward);
    }
    check(one, run([prefix.length]), "behind another message, split between them", false, messages, forward);
    check(one, run(everyCut(both.length)), "behind another message, byte by byte", false, messages, forward);
  }
}

/** How the first bytes look to a port with `protocol: detect`, whole and in every beginning of them. */
function checkDetection(one: CorpusCase): void {
  const allowed: number[] = one.isOpaque ? [Detected.opaque, Detected.tls, Detected.http2] : [Detected.http1];
  const guarded = Buffer.concat([one.request, Buffer.from(" HTTP/1.1\r\n")]);
  let decided: number = Detected.undecided;
  for (let end = 0; end <= one.request.length && end < 10_000; end++) {
    const now = detectProtocol(guarded, 0, end);
    if (decided !== Detected.undecided) assert.equal(now, decided, `${one.file}:${one.line}: the decision changed at byte ${end}`);
    decided = now;
  }
  if (decided === Detected.undecided && one.incomplete === "head") return;
  assert.ok(allowed.includes(decided), `${one.file}:${one.line}: detected as ${decided}, expected ${allowed.join(" or ")}`);
}

describe("the HTTP/1 corpus", () => {
  for (const file of new Set(cases.map((one) => one.file))) {
    describe(file.replace(".md", ""), () => {
      for (const one of cases.filter((other) => other.file === file)) it(one.title, () => runCase(one));
    });
  }
});

describe("the corpus itself", () => {
  it("has more than 220 cases of requests and of responses", () => {
    assert.ok(cases.filter((one) => one.kind === "request").length > 220);
    assert.ok(cases.filter((one) => one.kind === "response").length > 80);
  });

  it("expects only codes that the table of errors has, with their status", () => {
    for (const one of cases) {
      if (one.reject === null) continue;
      for (const code of one.reject.codes) {
        const row = ERRORS[code as ErrorCode];
        assert.ok(row !== undefined, `${one.file}:${one.line}: ${code} is not in the table`);
        if (one.kind === "request") assert.equal(row.status, one.reject.status, `${one.file}:${one.line}: ${code}`);
        else assert.equal(one.reject.status, 502, `${one.file}:${one.line}: a response is answered with 502`);
      }
    }
  });

  it("has a case for every error of the parsers", () => {
    const seen = new Set(cases.flatMap((one) => one.reject?.codes ?? []));
    const missing = Object.entries(ERRORS).filter(([code, row]) => row.id < 40 && !seen.has(code));
    assert.deepEqual(
      missing.map(([code]) => code),
      [],
    );
  });

  it("says of each request how its first bytes look to detection", () => {
    for (const one of cases) if (one.kind === "request") checkDetection(one);
  });

  it("cuts bytes where it is told", () => {
    const bytes = Buffer.from("abcd");
    assert.deepEqual(cutAt(bytes, [1, 3]).map(String), ["a", "bc", "d"]);
    assert.deepEqual(cutAt(bytes, everyCut(4)).map(String), ["a", "b", "c", "d"]);
  });
});
