// What policies log: a line per client at once, repetitions together, and a bound on how many clients are told apart.

import assert from "node:assert/strict";
import { it } from "node:test";
import { PolicyLog } from "../../src/workers/policy-log.ts";

function logAt(): { log: PolicyLog; lines: string[]; clock: { now: number } } {
  const lines: string[] = [];
  const clock = { now: 1000 };
  const log = new PolicyLog(
    (level, message, fields) => lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
    () => clock.now,
  );
  return { log, lines, clock };
}

it("writes the first at once and counts the others", () => {
  const { log, lines, clock } = logAt();
  for (let i = 0; i < 5; i++) log.note("refused", "10.0.0.1", { rule: "default:deny" });
  log.note("refused", "10.0.0.2", { rule: "default:deny" });
  log.note("admitted", "10.0.0.1", { rule: "default:audit" });
  assert.deepEqual(lines, [
    'info refused {"client":"10.0.0.1","rule":"default:deny"}',
    'info refused {"client":"10.0.0.2","rule":"default:deny"}',
    'info admitted {"client":"10.0.0.1","rule":"default:audit"}',
  ]);
  clock.now += 10_000;
  log.note("refused", "10.0.0.1", { rule: "default:deny" });
  assert.deepEqual(lines.slice(3), [
    'info refused {"client":"10.0.0.1","rule":"default:deny","times":4}',
    'info refused {"client":"10.0.0.1","rule":"default:deny"}',
  ]);
});

it("tells a hundred clients apart and counts the rest together", () => {
  const { log, lines } = logAt();
  for (let i = 0; i < 5000; i++) log.note("refused", `10.0.${i >> 8}.${i & 255}`, { rule: "default:deny" });
  assert.equal(lines.length, 100);
  log.flush();
  assert.deepEqual(lines.slice(100), ['info refused {"client":"others","rule":"default:deny","times":4900}']);
  log.flush();
  assert.equal(lines.length, 101);
});
