// Do our figures agree with those that wrk and ab print themselves? Both are put into the result, side by side.
//
// Requests per second: what we counted over what our own clock says, against what the tool printed, round by round. Percentiles: our
// generator, as a closed loop, and the tool ask the same slow path (5 ms) over as many connections; there the answer's own time is
// large beside what each client adds, so the two must agree.

import type { Generator } from "../load/generator.ts";
import { parseAb, parseWrk, runTool } from "../load/tools.ts";
import type { LoadTool } from "../load/scenario.ts";
import type { Peer } from "../peers/peer.ts";
import { startOrigin, startProxy, stopAll } from "../peers/start.ts";
import type { CrossCheck, ScenarioResult } from "../result.ts";
import { distributionOf, valueAtPercentile } from "../statistics/distribution.ts";
import { median } from "../statistics/spread.ts";

/** Of requests per second, and what a tool's own clock leaves out of ours: its start and its end. */
const RATE_TOLERANCE = 0.03;
const TOOL_START_MS = 40;
/** Of percentiles: what a client needs to notice an answer, and timers of a millisecond (ab prints whole ones). */
const LATENCY_TOLERANCE = 0.15;
/** Few answers make a p99, and any hiccup of the machine is in it. */
const TAIL_TOLERANCE = 0.35;
/** Runs of each, in turns; the median counts. */
const RUNS = 5;
const SLOW_PATH = "/slow?ms=5";
const CONNECTIONS = 8;
const SECONDS = 1;
const AB_REQUESTS = 1_000;
const DEADLINE_MS = 30_000;

function compare(check: Omit<CrossCheck, "agrees">): CrossCheck {
  return { ...check, agrees: Math.abs(check.ours / check.theirs - 1) <= check.tolerance };
}

/** Of all rounds that a tool made. */
export function rateChecks(scenario: ScenarioResult): CrossCheck[] {
  return scenario.subjects.flatMap((subject) =>
    scenario.loads.flatMap((load) => {
      const rounds = subject.rounds.filter((round) => round.load === load.id && round.toolReport?.requestsPerSecond);
      if (rounds.length === 0 || subject.state === "failed") return [];
      const theirs = median(rounds.map((round) => round.toolReport!.requestsPerSecond!));
      const ours = median(rounds.map((round) => round.achievedRps));
      const tolerance = RATE_TOLERANCE + TOOL_START_MS / median(rounds.map((round) => round.durationMs));
      const from = { oursFrom: "requests counted / our clock", theirsFrom: load.tool };
      return [compare({ subject: subject.name, what: "requests/s", unit: "1/s", ours, theirs, tolerance, ...from })];
    }),
  );
}

/** One run of one client: percentiles by name, microseconds. */
type Client = () => Promise<Readonly<Record<string, number>>>;

function clients(port: number, generator: Generator, installed: ReadonlySet<LoadTool>): Map<string, Client> {
  const url = `http://127.0.0.1:${port}${SLOW_PATH}`;
  const found = new Map<string, Client>();
  found.set("ours", async () => {
    const run = { port, path: SLOW_PATH, rate: null, connections: CONNECTIONS, seed: 1, seconds: SECONDS };
    const distribution = distributionOf((await generator.run(run)).latency);
    return { "50": valueAtPercentile(distribution, 50), "99": valueAtPercentile(distribution, 99) };
  });
  const wrkArguments = ["-t1", `-c${CONNECTIONS}`, `-d${SECONDS}s`, "--latency", url];
  if (installed.has("wrk")) found.set("wrk", async () => parseWrk(await runTool("wrk", wrkArguments, DEADLINE_MS)).report.latencyUs);
  const abArguments = ["-q", "-k", "-n", String(AB_REQUESTS), "-c", String(CONNECTIONS), url];
  if (installed.has("ab")) found.set("ab", async () => parseAb(await runTool("ab", abArguments, DEADLINE_MS)).report.latencyUs);
  return found;
}

/** Percentiles through Weft, on a path whose answer takes 5 ms, by our generator and by the tools that are installed. */
export async function latencyChecks(generator: Generator, installed: ReadonlySet<LoadTool>, workers: number): Promise<CrossCheck[]> {
  const origin = await startOrigin("uws");
  const started: Peer[] = [origin];
  try {
    const weft = await startProxy("weft", origin.port, workers);
    started.push(weft);
    const all = clients(weft.port, generator, installed);
    const found = new Map<string, Readonly<Record<string, number>>[]>([...all.keys()].map((name) => [name, []]));
    // The first lap warms.
    for (let lap = 0; lap <= RUNS; lap++) {
      for (const [name, client] of all) {
        const percentiles = await client();
        if (lap > 0) found.get(name)!.push(percentiles);
      }
    }
    const middle = (name: string, percent: string): number => median(found.get(name)!.map((one) => one[percent] ?? Number.NaN));
    return [...all.keys()].slice(1).flatMap((name) =>
      ["50", "99"].map((percent) =>
        compare({
          subject: "weft",
          what: `p${percent}`,
          unit: "us",
          ours: middle("ours", percent),
          oursFrom: "our generator, closed loop, 5 ms answers",
          theirs: middle(name, percent),
          theirsFrom: name,
          tolerance: percent === "50" ? LATENCY_TOLERANCE : TAIL_TOLERANCE,
        }),
      ),
    );
  } finally {
    await stopAll(started);
  }
}
