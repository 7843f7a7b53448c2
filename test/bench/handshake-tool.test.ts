// What `openssl s_time` says: how many connections, whether their sessions were resumed, and whether the answers were the origin's.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { handshakeArguments, parseHandshakes, sumOfHandshakes } from "../../bench/load/handshake-tool.ts";

function printed(name: string): string {
  return readFileSync(new URL(`../fixtures/bench/${name}.txt`, import.meta.url), "utf8");
}

test("full handshakes are counted, and are errors where sessions should have been resumed", () => {
  const full = printed("s-time-new");
  assert.deepEqual(pick(parseHandshakes(full, false, 248)), { requests: 257, errors: 0, errorDetail: null });
  assert.deepEqual(pick(parseHandshakes(full, true, 248)), {
    requests: 257,
    errors: 257,
    errorDetail: "257 of 257 sessions were not resumed",
  });
});

test("resumed sessions are counted, and are errors where full handshakes were asked for", () => {
  const resumed = printed("s-time-reuse");
  assert.deepEqual(pick(parseHandshakes(resumed, true, 248)), { requests: 153, errors: 0, errorDetail: null });
  assert.deepEqual(pick(parseHandshakes(resumed, false, 248)), {
    requests: 153,
    errors: 153,
    errorDetail: "153 of 153 sessions were resumed",
  });
  const once = resumed.replace("rr", "*r");
  assert.deepEqual(pick(parseHandshakes(once, true, 248)), { requests: 153, errors: 1, errorDetail: "1 of 153 sessions were not resumed" });
});

test("answers that are smaller than the origin's are errors, and no answer is none", () => {
  assert.match(parseHandshakes(printed("s-time-new"), false, 1000).errorDetail!, /bytes per answer/);
  assert.deepEqual(pick(parseHandshakes("", false, 248)), { requests: 0, errors: 0, errorDetail: null });
});

test("processes add up", () => {
  const one = parseHandshakes(printed("s-time-new"), false, 248);
  const bad = parseHandshakes(printed("s-time-reuse"), false, 248);
  assert.deepEqual(pick(sumOfHandshakes([one, bad, one])), { requests: 667, errors: 153, errorDetail: "153 of 153 sessions were resumed" });
});

test("the command line says whether sessions are resumed", () => {
  assert.ok(handshakeArguments(443, "/", true, 2).includes("-reuse"));
  assert.ok(handshakeArguments(443, "/", false, 2).includes("-new"));
});

function pick({ requests, errors, errorDetail }: ReturnType<typeof parseHandshakes>): object {
  return { requests, errors, errorDetail };
}
