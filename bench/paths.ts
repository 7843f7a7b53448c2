// Several ways to one service, side by side: ab, wrk and the open-loop generator on each, and what each way adds to the first. One table.
//
//   node bench/paths.ts --path "without mesh=http://origin:8081/" --path "one proxy=http://origin:8080/" ...
//
// For what is there already, such as the services of docker-compose.yml; it starts nothing. The ways take turns (A B C, C B A), and a figure
// is the median of the rounds; what is added is the median of the differences within a round. A way with a failed request does not
// count. What ab and wrk say of latency leaves out what a waiting user would have seen: judge by the open loop.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { latencyOf } from "./engine/latency.ts";
import { Generator } from "./load/generator.ts";
import { parseAb, parseWrk, runTool, type Tool, versionOf } from "./load/tools.ts";
import { markdownTable, plainTable, type Table, table } from "./report/table.ts";
import { median } from "./statistics/spread.ts";
import { pause } from "./support/child.ts";
import { progress } from "./support/progress.ts";

const USAGE = `usage: node bench/paths.ts --path NAME=URL [--path NAME=URL...] [options]
  --path NAME=URL      a way to the service; the first is what the others are compared with
  --rounds N           of each (default 5)
  --seconds N          of wrk and of the open loop, per round (default 5)
  --requests N         of ab, per round (default 10000)
  --concurrency N      of ab and wrk (default 100)
  --rate N             requests per second of the open loop (default 500), over 16 connections
  --folder PATH        report.md and result.json go there
`;

const OPEN_LOOP_CONNECTIONS = 16;
const LOADS = ["ab", "ab -k", "wrk", "open loop"] as const;
/** Beyond a tool's own time: connecting, and a busy machine. */
const EXTRA_MS = 60_000;
/** Whatever stands on the ways may be starting. */
const ANSWERING_MS_MAX = 60_000;
/** ab's patience with one answer, seconds. */
const AB_ANSWER_SECONDS_MAX = 10;

interface Path {
  readonly name: string;
  readonly url: URL;
}

interface Plan {
  readonly paths: readonly Path[];
  readonly rounds: number;
  readonly seconds: number;
  readonly requests: number;
  readonly concurrency: number;
  readonly rate: number;
  readonly folder: string | null;
}

/** One load on one way, once. Latencies in milliseconds. */
interface Run {
  readonly load: (typeof LOADS)[number];
  readonly path: string;
  readonly round: number;
  readonly commandLine: string;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

function readPath(text: string): Path {
  const at = text.indexOf("=");
  const url = at < 1 ? null : URL.parse(text.slice(at + 1));
  if (url === null || url.protocol !== "http:") throw new Error(`--path is NAME=http://HOST:PORT/PATH, not '${text}'`);
  return { name: text.slice(0, at), url };
}

function readPlan(args: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      path: { type: "string", multiple: true, default: [] },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "5" },
      requests: { type: "string", default: "10000" },
      concurrency: { type: "string", default: "100" },
      rate: { type: "string", default: "500" },
      folder: { type: "string" },
    },
  });
  const whole = (name: "rounds" | "seconds" | "requests" | "concurrency" | "rate", max: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1 || value > max) throw new Error(`--${name} is a whole number from 1 to ${max}`);
    return value;
  };
  if (values.path.length === 0) throw new Error("--path is missing");
  const plan = {
    paths: values.path.map(readPath),
    rounds: whole("rounds", 100),
    seconds: whole("seconds", 600),
    requests: whole("requests", 10_000_000),
    concurrency: whole("concurrency", 4_000),
    rate: whole("rate", 20_000),
    folder: values.folder ?? null,
  };
  if (plan.concurrency > plan.requests) throw new Error("--concurrency is at most --requests: ab refuses anything else");
  return plan;
}

async function runInstalled(load: "ab" | "ab -k" | "wrk", { url }: Path, plan: Plan): Promise<Omit<Run, "load" | "path" | "round">> {
  const { seconds, requests, concurrency } = plan;
  const tool: Tool = load === "wrk" ? "wrk" : "ab";
  const args =
    tool === "wrk"
      ? ["-t1", `-c${concurrency}`, `-d${seconds}s`, "--latency", url.href]
      : [
          "-q",
          "-s",
          `${AB_ANSWER_SECONDS_MAX}`,
          "-n",
          `${requests}`,
          "-c",
          `${concurrency}`,
          ...(load === "ab -k" ? ["-k"] : []),
          url.href,
        ];
  const output = await runTool(tool, args, seconds * 1000 + EXTRA_MS);
  const { report, errors, requests: answered } = tool === "wrk" ? parseWrk(output) : parseAb(output);
  return {
    commandLine: [tool, ...args].join(" "),
    requestsPerSecond: report.requestsPerSecond ?? Number.NaN,
    p50Ms: (report.latencyUs["50"] ?? Number.NaN) / 1000,
    p99Ms: (report.latencyUs["99"] ?? Number.NaN) / 1000,
    failed: answered === 0 ? Math.max(1, errors) : errors,
  };
}

async function runOpenLoop({ url }: Path, plan: Plan, round: number, generator: Generator): Promise<Omit<Run, "load" | "path" | "round">> {
  const { rate, seconds } = plan;
  const host = url.hostname;
  const port = Number(url.port || "80");
  const order = { host, port, path: url.pathname, rate, seconds, connections: OPEN_LOOP_CONNECTIONS, seed: round };
  const result = await generator.run(order);
  const latency = latencyOf(result.latency);
  return {
    commandLine: `open-loop --rate ${rate} --seed ${round} --connections ${OPEN_LOOP_CONNECTIONS} --seconds ${seconds} ${url.href}`,
    requestsPerSecond: result.completed / (result.durationMs / 1000),
    p50Ms: latency.p50Us / 1000,
    p99Ms: latency.p99Us / 1000,
    failed: result.completed === 0 ? Math.max(1, result.errors) : result.errors,
  };
}

/** Until every way is answered with 200. */
async function untilAnswering(paths: readonly Path[]): Promise<void> {
  const end = performance.now() + ANSWERING_MS_MAX;
  for (const { name, url } of paths) {
    for (;;) {
      const status = await fetch(url).then(
        (response) => response.status,
        () => null,
      );
      if (status === 200) break;
      if (performance.now() > end) throw new Error(`${name}: ${url.href} ${status === null ? "does not answer" : `answers ${status}`}`);
      await pause(100);
    }
  }
}

async function measure(plan: Plan): Promise<Run[]> {
  const runs: Run[] = [];
  const generator = new Generator();
  try {
    // Round 0 warms every way and counts for nothing.
    for (let round = 0; round <= plan.rounds; round++) {
      const order = round % 2 === 0 ? [...plan.paths].reverse() : plan.paths;
      for (const load of LOADS) {
        for (const path of order) {
          progress(`${round === 0 ? "warming" : `round ${round} of ${plan.rounds}`}: ${load}, ${path.name}`);
          const run = load === "open loop" ? await runOpenLoop(path, plan, round, generator) : await runInstalled(load, path, plan);
          if (round > 0) runs.push({ load, path: path.name, round, ...run });
        }
      }
    }
  } finally {
    generator.stop();
  }
  return runs;
}

const figure = (value: number, digits: number): string => (Number.isFinite(value) ? value.toFixed(digits) : "-");

/** A row per load and way; the way's own figures, and what it adds to the first. */
function tableOf(plan: Plan, runs: readonly Run[]): Table {
  const of = (load: string, path: Path): Run[] => runs.filter((run) => run.load === load && run.path === path.name);
  const rows = LOADS.flatMap((load) => {
    const base = of(load, plan.paths[0]!);
    return plan.paths.map((path, index) => {
      const mine = of(load, path);
      const failed = mine.reduce((sum, run) => sum + run.failed, 0);
      if (failed > 0) return [load, path.name, "does not count", "", "", "", "", String(failed)];
      const middle = (pick: (run: Run) => number): number => median(mine.map(pick));
      const added = (pick: (run: Run) => number): string =>
        index === 0 ? "" : `+${figure(median(mine.map((run, at) => pick(run) - pick(base[at]!))), 2)}`.replace("+-", "-");
      const p50 = (run: Run): number => run.p50Ms;
      const p99 = (run: Run): number => run.p99Ms;
      return [
        load,
        path.name,
        figure(
          middle((run) => run.requestsPerSecond),
          0,
        ),
        figure(middle(p50), 2),
        figure(middle(p99), 2),
        added(p50),
        added(p99),
        "0",
      ];
    });
  });
  const head = ["load", "way", "requests/s", "p50 ms", "p99 ms", "added p50", "added p99", "failed"];
  return table("Before and after", head, rows, {
    wordColumns: [1],
    note: `medians of ${plan.rounds} rounds; the open loop offers ${plan.rate} requests/s, the others as many as they get answered`,
  });
}

/** The command of every figure; rounds differ in nothing but the seed. */
function commandsOf(runs: readonly Run[]): string[] {
  return [...new Set(runs.map((run) => run.commandLine.replace(/--seed \d+/, "--seed ROUND")))];
}

async function main(args: readonly string[]): Promise<void> {
  const plan = readPlan(args);
  for (const tool of ["ab", "wrk"] as const) if (versionOf(tool) === null) throw new Error(`${tool} is not installed`);
  await untilAnswering(plan.paths);
  const runs = await measure(plan);
  const result = tableOf(plan, runs);
  const commands = commandsOf(runs);
  const versions = { node: process.version, ab: versionOf("ab"), wrk: versionOf("wrk") };
  process.stdout.write(`\n${plainTable(result)}\n\n${commands.map((line) => `  ${line}\n`).join("")}`);
  if (plan.folder === null) return;
  mkdirSync(plan.folder, { recursive: true });
  const report = `# Before and after\n\n${markdownTable(result)}\n\nThe commands:\n\n\`\`\`\n${commands.join("\n")}\n\`\`\`\n`;
  writeFileSync(join(plan.folder, "report.md"), report);
  writeFileSync(join(plan.folder, "result.json"), `${JSON.stringify({ plan, versions, runs }, null, 2)}\n`);
  process.stdout.write(`\n  report.md and result.json are in ${plan.folder}\n`);
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`bench: ${error.message}\n\n${USAGE}`);
    process.exit(1);
  },
);
