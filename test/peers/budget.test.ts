// The latency budget against real proxies: one that is slow on purpose breaks it, a busy machine gives no verdict, an idle one keeps it.
//
// A machine that runs tests may be busy with other things, and then "cannot tell" is the right answer; what must never happen is a
// wrong verdict. So the slow proxy must be found wherever the run itself says that the machine was quiet, and Weft as it is must not
// be called slow, not thrice in a row: a verdict stands on 95 of 100. Rounds are short: what is tested is the verdict, not the figures.

import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type BudgetVerdict, QUIET_PAIRS_MIN } from "../../bench/budget/verdict.ts";

const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));
const SHORT = ["--pairs", String(QUIET_PAIRS_MIN), "--seconds", "0.6", "--warm-seconds", "1", "-o", "json"];
/** A run takes a minute at most, on a busy machine two. */
const DEADLINE_MS = 180_000;
const TRIES_MAX = 3;

function budget(environment: NodeJS.ProcessEnv): Promise<{ code: number; verdict: BudgetVerdict }> {
  const options = { env: { ...process.env, ...environment }, timeout: DEADLINE_MS };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [MAIN, "--budget", ...SHORT], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code !== "number" || code > 2) reject(new Error(`ended with ${String(code)}:\n${stdout}\n${stderr}`));
      else resolve({ code, verdict: JSON.parse(stdout) as BudgetVerdict });
    });
  });
}

/** Keeps one core busy, and ends by itself should nobody end it. */
function burn(): ChildProcess {
  return spawn(process.execPath, ["-e", `const end = Date.now() + ${DEADLINE_MS}; while (Date.now() < end);`], { stdio: "ignore" });
}

test("a proxy that is 2 ms slower breaks the budget, wherever the machine was quiet enough to tell", async () => {
  const { code, verdict } = await budget({ WEFT_BENCH_DELAY_MS: "2" });
  assert.equal(code, verdict.code);
  if (verdict.quietPairs >= QUIET_PAIRS_MIN) {
    assert.equal(code, 1, verdict.sentence);
    assert.match(verdict.sentence, /^the budget of 1\.000 ms is broken: the proxy adds \d+\.\d+ ms at p50/);
    assert.ok(verdict.added[0]!.us! >= 2000, verdict.sentence);
  } else assert.equal(code, 2, verdict.sentence);
});

test("Weft as it is keeps the budget, or the machine is too noisy to tell", async () => {
  let { code, verdict } = await budget({});
  for (let tries = 1; code === 1 && tries < TRIES_MAX; tries++) ({ code, verdict } = await budget({}));
  assert.equal(code, verdict.code);
  assert.ok(code === 0 || code === 2, verdict.sentence);
  assert.match(verdict.sentence, code === 0 ? /is kept: the proxy adds \d\.\d+ ms at p50/ : /^cannot tell/);
});

test("a machine whose cores are all busy gives no verdict and says why", async () => {
  const burners = Array.from({ length: availableParallelism() }, burn);
  try {
    const { code, verdict } = await budget({});
    assert.equal(code, 2, verdict.sentence);
    assert.match(
      verdict.sentence,
      /^cannot tell, the machine is too noisy: .+; only \d of \d+ pairs of rounds were quiet, and 5 are needed$/,
    );
  } finally {
    for (const burner of burners) burner.kill("SIGKILL");
  }
});
