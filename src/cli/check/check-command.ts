// `weft check` and `weft check --pre`: from the options to results. Exit codes: 0, with warnings too; 1 when a check failed.
//
// `--report` is what it calls itself by inside a container (inside.ts).

import { parseHostPort } from "../../config/address.ts";
import { parseDurationMs } from "../../core/util/duration.ts";
import { FAILURE } from "../output-format.ts";
import type { Place } from "./ask.ts";
import { identityChecks, identityDataPlaneChecks } from "./identity-checks.ts";
import type { ReportKind } from "./inside.ts";
import { findMesh } from "./mesh.ts";
import { clockChecks, dataPlaneChecks, existenceChecks, hasParts, type Look, versionChecks } from "./mesh-checks.ts";
import { type PreOptions, preChecks, type Target } from "./pre-checks.ts";
import { type CheckOutput, isSuccess, render } from "./print-results.ts";
import type { Mesh } from "./reports.ts";
import { type Check, type RunOptions, runChecks } from "./run-checks.ts";

/** As they were given. */
export interface CheckOptions {
  readonly pre?: true;
  readonly target: Target;
  readonly ports: string;
  readonly against?: string;
  readonly admin?: readonly string[];
  readonly identityAdmin?: string;
  readonly data?: string;
  readonly project?: string;
  readonly proxy?: true;
  readonly expectedVersion?: string;
  readonly wait: string;
  readonly output: CheckOutput;
  readonly report?: ReportKind;
  /** Of the container, as JSON. */
  readonly command?: string;
}

/** Who gives --against a host without a port means this one. */
const HTTP_PORT = 80;

/** Resolves to the exit code. */
export async function runCheck(options: CheckOptions): Promise<number> {
  const problems: string[] = [];
  const waitMs = parseDurationMs(options.wait);
  if (waitMs === null) problems.push(`--wait: ${JSON.stringify(options.wait)} is no duration; for example 30s`);
  const pre = readPreOptions(options, problems);
  problems.push(...misplaced(options));
  if (problems.length > 0 || waitMs === null) return refuse(problems);
  if (options.report !== undefined) {
    const { printReport } = await import("./inside.ts");
    await printReport(options.report, wordsOf(options.command));
    return 0;
  }
  if (options.pre === true) return await finish(preChecks(pre), options.output, { waitMs: 0, refresh: async () => undefined });
  try {
    return await checkMesh(options, waitMs);
  } catch (error) {
    // The engine went away or does not understand, or the mesh went: there is nothing to look at.
    return refuse([(error as Error).message]);
  }
}

async function checkMesh(options: CheckOptions, waitMs: number): Promise<number> {
  const gather = await findMesh(options);
  if (typeof gather !== "function") return refuse(gather.problems);
  let mesh: Mesh = await gather();
  const refresh = async (): Promise<void> => {
    mesh = await gather();
    // Checks would have nothing to look at, and pass.
    if (!hasParts(mesh)) throw new Error(`nothing is left of the mesh in ${mesh.soughtIn}: it was taken down while it was checked`);
  };
  return await finish(
    meshChecks(() => mesh, options),
    options.output,
    { waitMs, refresh },
  );
}

function meshChecks(mesh: Look, { proxy, expectedVersion }: CheckOptions): Check[] {
  const controlPlane = proxy === true ? [] : identityChecks(mesh);
  return [
    ...existenceChecks(mesh, proxy === true),
    ...controlPlane,
    ...identityDataPlaneChecks(mesh),
    ...clockChecks(mesh),
    ...dataPlaneChecks(mesh),
    ...versionChecks(mesh, expectedVersion ?? null),
  ];
}

async function finish(checks: readonly Check[], output: CheckOutput, timing: Omit<RunOptions, "onWaiting">): Promise<number> {
  const results = await runChecks(checks, { ...timing, onWaiting: showWaiting });
  process.stdout.write(render(results, output, process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined));
  return isSuccess(results) ? 0 : FAILURE;
}

/** One line that is written over, where somebody looks. */
function showWaiting(line: string | null): void {
  if (process.stderr.isTTY !== true) return;
  const width = Math.max(20, (process.stderr.columns || 80) - 1);
  process.stderr.write(`\r\u001b[K${line === null ? "" : `waiting: ${line}`.slice(0, width)}`);
}

function wordsOf(command = "[]"): string[] {
  const words: unknown = JSON.parse(command);
  return Array.isArray(words) ? words.map(String) : [];
}

function readPreOptions({ target, ports, against }: CheckOptions, problems: string[]): PreOptions {
  const numbers = ports.split(",").map((text) => Number(text.trim()));
  if (!numbers.every((port) => Number.isInteger(port) && port > 0 && port < 65536))
    problems.push(`--ports: ${JSON.stringify(ports)}: expected ports such as 4140,4143`);
  return { target, ports: numbers, against: against === undefined ? null : readAgainst(against, problems) };
}

function readAgainst(text: string, problems: string[]): Place | null {
  const whole = parseHostPort(text, "target");
  const parsed = "ok" in whole ? whole : parseHostPort(`${text}:${HTTP_PORT}`, "target");
  if ("ok" in parsed) return parsed.ok;
  problems.push(`--against: ${JSON.stringify(text)}: expected HOST or HOST:PORT of something that answers by HTTP`);
  return null;
}

/** Options that mean nothing beside the others: said, and not passed over. */
function misplaced(options: CheckOptions): string[] {
  const { pre, against, admin, identityAdmin, data, project, proxy, expectedVersion } = options;
  if (pre !== true) return against === undefined ? [] : ["--against belongs to --pre"];
  const given = Object.entries({ admin, "identity-admin": identityAdmin, data, project, proxy, "expected-version": expectedVersion });
  return given.filter(([, value]) => value !== undefined).map(([name]) => `--${name} does not go with --pre: nothing runs yet`);
}

function refuse(problems: readonly string[]): number {
  process.stderr.write(problems.map((problem) => `weft check: ${problem}\n`).join(""));
  return FAILURE;
}
