// Does Weft report the time that it really costs? `node bench/overhead-truth.ts [--rounds 4] [--rate 1000] [--quiet]`.
//
// A worker that is blocked for 8 ms every 40 ms (a test hook: POST /test/0/stutter) delays requests in a way that clocks inside its
// callbacks cannot see by themselves. The same open-loop schedule goes to the origin directly and through Weft, turn by turn; the added
// p99 is the difference of the p99s as that outside client sees them. Beside it stands the p99 of proxy_overhead_us over exactly the
// same requests: a round is longer than the metric's window, so what is read at its end is the round's. The bar: the two are within
// 30 % of each other. A round in which the generator was late itself, or the origin alone was slow, does not count. --quiet leaves the
// stutter out: a control, in which both are small and the machine's noise is large.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Generator } from "./load/generator.ts";
import type { OpenLoopResult } from "./load/open-loop-protocol.ts";
import { startWeft, weftMetrics } from "./peers/weft.ts";
import { distributionOf, valueAtPercentile } from "./statistics/distribution.ts";
import { median } from "./statistics/spread.ts";
import { Child, isListening, pause, startOnFreePorts, untilReady } from "./support/child.ts";

const ORIGIN = fileURLToPath(new URL("./origin.ts", import.meta.url));
const DIFFERENCE_BAR = 0.3;
const CONNECTIONS = 64;
/** A seventh of what the stutter adds: a generator that is later than this is a large part of what it sees. */
const LATENESS_P99_MS_MAX = 1;
/** The same share for the origin without a proxy. */
const DIRECT_P99_MS_MAX = 1;
/** The metric's quantiles are over 30 s and what came after: a reading that late has the requests since the one before. */
const ROUND_MS = 31_000;
const DIRECT_SECONDS = 10;
const WEFT_SECONDS = 19;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "4" },
      rate: { type: "string", default: "1000" },
      quiet: { type: "boolean", default: false },
    },
  });
  const rate = Number(values.rate);
  const origin = await startOnFreePorts(1, async ([port]) => {
    const child = new Child("origin", process.execPath, [ORIGIN, String(port)]);
    await untilReady(child, () => isListening(port!));
    return { child, port: port! };
  });
  const weft = await startWeft({ mode: "http", upstreams: [origin.port], workers: 1 }, { environment: { WEFT_TEST_HOOKS: "1" } });
  const generator = new Generator();

  const ask = async (port: number, seconds: number, seed: number): Promise<OpenLoopResult> => {
    const result = await generator.run({ port, path: "/", rate, seconds, connections: CONNECTIONS, seed });
    if (result.errors > 0) throw new Error(`${result.errors} errors`);
    return result;
  };
  const quantile = async (share: string): Promise<number> => (await weftMetrics(weft)).sum("proxy_overhead_us", { quantile: share }) / 1000;
  const at = (result: OpenLoopResult, percentile: number): number => valueAtPercentile(distributionOf(result.latency), percentile) / 1000;

  if (!values.quiet) {
    const answer = await adminRequest(weft.adminPort!, "/test/0/stutter");
    if (answer !== 204) throw new Error(`the test hook answered ${answer}`);
  }
  const differences: number[] = [];
  await quantile("0.99");
  // Round 0 warms up and ends the window before the first.
  for (let round = 0; round <= Number(values.rounds); round++) {
    const begin = performance.now();
    const direct = await ask(origin.port, DIRECT_SECONDS, round);
    const through = await ask(weft.port, WEFT_SECONDS, round);
    await pause(Math.max(0, ROUND_MS - (performance.now() - begin)));
    const reported = await quantile("0.99");
    if (round === 0) continue;
    const latenessMs = valueAtPercentile(distributionOf(through.lateness), 99) / 1000;
    if (latenessMs > LATENESS_P99_MS_MAX) {
      process.stdout.write(
        `round ${round} left out: the generator itself was late, p99 ${latenessMs.toFixed(2)} ms; is the machine busy?\n`,
      );
      continue;
    }
    if (at(direct, 99) > DIRECT_P99_MS_MAX) {
      process.stdout.write(`round ${round} left out: without Weft p99 was already ${at(direct, 99).toFixed(2)} ms; is the machine busy?\n`);
      continue;
    }
    const added = at(through, 99) - at(direct, 99);
    differences.push(reported / added - 1);
    process.stdout.write(
      `added p99 ${added.toFixed(2)} ms (through Weft ${at(through, 99).toFixed(2)}, direct ${at(direct, 99).toFixed(2)})   ` +
        `reported p99 ${reported.toFixed(2)} ms, p50 ${(await quantile("0.5")).toFixed(2)} (outside p50 ${(at(through, 50) - at(direct, 50)).toFixed(2)})   ` +
        `difference ${(100 * differences.at(-1)!).toFixed(0)} %\n`,
    );
  }
  if (differences.length === 0) throw new Error("no round counts");
  const difference = median(differences);
  const verdict = Math.abs(difference) <= DIFFERENCE_BAR ? "met" : "MISSED";
  process.stdout.write(
    `reported against seen from outside, median: ${(100 * difference).toFixed(0)} % (bar: ${100 * DIFFERENCE_BAR} %): ${verdict}\n`,
  );
  generator.stop();
  await weft.child.stop();
  await origin.child.stop();
}

async function adminRequest(port: number, path: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST" })).status;
}

await main();
