// The fuzzer: `node test/fuzz/main.ts NAME|all [--seed N] [--runs N | --seconds S] [--canary]`.
//
// Run i has the seed `seed + i`, so a finding is repeated by one short command, which is printed, and its input is kept under
// test/fixtures/fuzz-regressions/, where the tests replay it for ever. `--canary` breaks something on purpose: the
// fuzzer must then end with a finding (exit code 1), or it finds nothing at all.

import type { Buffer } from "node:buffer";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chunkedTarget } from "./chunked.ts";
import { clientHelloTarget } from "./client-hello.ts";
import { hpackTarget } from "./hpack.ts";
import { h2ClientTarget } from "./h2-client.ts";
import { h2ServerTarget } from "./h2-server.ts";
import { proxyTarget } from "./proxy.ts";
import { Random } from "./random.ts";
import { roundtripTarget } from "./roundtrip.ts";
import { requestHeadTarget, responseHeadTarget } from "./split-invariance.ts";
import { type FuzzTarget, Tally, type TargetOptions } from "./target.ts";
import { transportHeaderTarget } from "./transport-header.ts";

export const TARGETS: Readonly<Record<string, (options: TargetOptions) => FuzzTarget | Promise<FuzzTarget>>> = {
  "request-head": requestHeadTarget,
  "response-head": responseHeadTarget,
  chunked: chunkedTarget,
  hpack: hpackTarget,
  roundtrip: roundtripTarget,
  "h2-client": h2ClientTarget,
  "h2-server": h2ServerTarget,
  "client-hello": clientHelloTarget,
  "transport-header": transportHeaderTarget,
  proxy: proxyTarget,
};

const REGRESSIONS = fileURLToPath(new URL("../fixtures/fuzz-regressions/", import.meta.url));
const RUNS_BY_DEFAULT = 5000;

export interface Budget {
  readonly seed: number;
  /** Whichever comes first. */
  readonly runs: number;
  readonly seconds: number;
}

export interface Finding {
  readonly seed: number;
  readonly input: Buffer;
  readonly error: Error;
}

/** Runs one target until the budget is spent or something is found. */
export async function fuzz(target: FuzzTarget, budget: Budget, tally: Tally): Promise<Finding | null> {
  const deadline = performance.now() + budget.seconds * 1000;
  for (let i = 0; i < budget.runs && performance.now() < deadline; i++) {
    const seed = (budget.seed + i) >>> 0;
    const random = new Random(seed);
    const input = target.generate(random);
    tally.add("runs");
    try {
      await target.check(input, random, tally);
    } catch (error) {
      return { seed, input, error: error as Error };
    }
  }
  return null;
}

/** Inputs of past findings: `NAME-SEED.bin`. */
export function regressions(name: string): { readonly file: string; readonly seed: number; readonly input: Buffer }[] {
  return readdirSync(REGRESSIONS)
    .map((file) => ({ file, match: /^(.+)-(\d+)\.bin$/.exec(file) }))
    .filter(({ match }) => match?.[1] === name)
    .map(({ file, match }) => ({ file, seed: Number(match![2]), input: readFileSync(join(REGRESSIONS, file)) }));
}

function keep(name: string, finding: Finding): string {
  mkdirSync(REGRESSIONS, { recursive: true });
  const path = join(REGRESSIONS, `${name}-${finding.seed}.bin`);
  writeFileSync(path, finding.input);
  return path;
}

function usage(problem: string): never {
  console.error(
    `${problem}\nusage: node test/fuzz/main.ts ${Object.keys(TARGETS).join("|")}|all [--seed N] [--runs N | --seconds S] [--canary]`,
  );
  process.exit(2);
}

function numberOf(text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : usage(`not a number: ${text}`);
}

async function main(): Promise<void> {
  const options = { seed: { type: "string" }, runs: { type: "string" }, seconds: { type: "string" }, canary: { type: "boolean" } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const name = positionals[0] ?? "all";
  const names = name === "all" ? Object.keys(TARGETS) : [name];
  const canary = values.canary === true;
  const seed = numberOf(values.seed, Date.now() >>> 0);
  const seconds = numberOf(values.seconds, Number.MAX_SAFE_INTEGER);
  const runs = numberOf(values.runs, values.seconds === undefined ? RUNS_BY_DEFAULT : Number.MAX_SAFE_INTEGER);
  for (const one of names) {
    const make = TARGETS[one] ?? usage(`no target '${one}'`);
    const target = await make({ canary });
    const tally = new Tally();
    const finding = await fuzz(target, { seed, runs, seconds: seconds / names.length }, tally);
    await target.close?.();
    const shown = [...tally.counts].sort((a, b) => b[1] - a[1]).map(([what, times]) => `${what} ${times}`);
    console.log(`${one}: seed ${seed}, ${shown.join(", ")}`);
    if (finding === null) continue;
    console.error(`${one}: ${finding.error.stack ?? finding.error.message}\ninput: ${JSON.stringify(finding.input.toString("latin1"))}`);
    if (!canary) console.error(`kept as ${keep(one, finding)}`);
    console.error(`repeat: npm run fuzz -- ${one} --seed ${finding.seed} --runs 1${canary ? " --canary" : ""}`);
    process.exitCode = 1;
    return;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
