// `weft identity recover`: repairs a mesh in which everything has expired, beside the identity component's data folder.

import { recover } from "../control/identity/recover.ts";
import type { Recovered, RecoverOrder, RecoverStep } from "../control/identity/recover.ts";
import { FileProblem } from "../control/identity/private-files.ts";
import { parseDurationMs } from "../core/util/duration.ts";
import { FAILURE, printJson } from "./output-format.ts";
import type { OutputFormat } from "./output-format.ts";

export interface RecoverOptions {
  readonly data: string;
  readonly tokens?: readonly string[];
  readonly workload?: readonly string[];
  readonly ttl?: string;
  readonly rootLifetime?: string;
  readonly issuerLifetime?: string;
  readonly roots?: string;
  readonly dryRun?: boolean;
  readonly output: OutputFormat;
}

/** How a proxy without a certificate tries again (core/identity/renewal.ts), and some more for the certificate itself. */
const HEALED_WITHIN_S = 20;

/** Resolves to the exit code: 0 when every step went well. */
export async function runRecover(options: RecoverOptions): Promise<number> {
  const isText = options.output === "text";
  const isDryRun = options.dryRun === true;
  try {
    const order = orderOf(options);
    if (isText) process.stdout.write(`${isDryRun ? "Would be done" : "Done"} in ${options.data}, by this host's clock ${isoTime()}:\n`);
    const recovered = await recover(order, isText ? printStep : () => {});
    const hints = hintsOf(order, recovered);
    if (isText) process.stdout.write(`\n${hints.map((hint) => `- ${hint}\n`).join("")}`);
    else
      printJson({ data: options.data, ...recovered.names, isDryRun, isRunning: recovered.isRunning, steps: recovered.steps, next: hints });
    const failed = recovered.steps.filter(({ outcome }) => outcome === "failed").length;
    if (failed === 0) return 0;
    process.stderr.write(
      `weft identity recover: ${failed} of ${recovered.steps.length} steps failed; what is done stays done: run it again\n`,
    );
  } catch (error) {
    if (!(error instanceof FileProblem) && !(error instanceof RangeError) && (error as NodeJS.ErrnoException).code === undefined)
      throw error;
    process.stderr.write(`weft identity recover: ${(error as Error).message}\n`);
  }
  return FAILURE;
}

function orderOf({ data, tokens = [], workload = [], ttl, rootLifetime, issuerLifetime, roots, dryRun }: RecoverOptions): RecoverOrder {
  if (workload.length > 0 && tokens.length === 0)
    throw new RangeError("--workload needs --tokens FOLDER: where its token file is, or goes");
  const ttlMs = durationOf("--ttl", ttl);
  const rootLifetimeMs = durationOf("--root-lifetime", rootLifetime);
  const issuerLifetimeMs = durationOf("--issuer-lifetime", issuerLifetime);
  if (rootLifetimeMs !== null && issuerLifetimeMs !== null && issuerLifetimeMs > rootLifetimeMs)
    throw new RangeError("--issuer-lifetime is longer than --root-lifetime: no issuer outlives its root");
  return {
    data,
    tokenFolders: tokens,
    workloads: workload.map(workloadOf),
    ttlS: ttlMs === null ? null : ttlMs / 1000,
    rootLifetimeMs,
    issuerLifetimeMs,
    rootsFile: roots ?? null,
    isDryRun: dryRun === true,
  };
}

function workloadOf(text: string): RecoverOrder["workloads"][number] {
  const [namespace, name, ...more] = text.split("/");
  if (namespace !== undefined && name !== undefined && more.length === 0) return { namespace, name };
  throw new RangeError(`--workload: ${JSON.stringify(text)} is none; expected NAMESPACE/NAME such as shop/web`);
}

function durationOf(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseDurationMs(text);
  if (ms === null || ms === 0 || ms % 1000 !== 0)
    throw new RangeError(`${flag}: ${JSON.stringify(text)} is no duration in whole seconds; for example 24h`);
  return ms;
}

function printStep({ what, subject, outcome, text }: RecoverStep): void {
  process.stdout.write(`  ${outcome.padEnd(9)}  ${what.padEnd(9)}  ${subject === "" ? "" : `${subject}: `}${text}\n`);
}

/** What is left to do by hand. */
function hintsOf({ tokenFolders, isDryRun }: RecoverOrder, { isRunning, steps }: Recovered): string[] {
  if (isDryRun) return ["nothing was changed: run it again without --dry-run"];
  const tokens = steps.filter(({ what }) => what === "token");
  const hints = isRunning ? [] : ["start the identity component now (weft identity-controller)"];
  if (tokens.some(({ outcome }) => outcome === "done" || outcome === "unchanged")) {
    hints.push(
      `proxies whose spec.identity.token is one of these files join again by themselves, each within ${HEALED_WITHIN_S} s of a component that serves; none needs a restart`,
    );
  }
  if (tokenFolders.length === 0) hints.push("no token was looked at: name the folders that hold token files with --tokens FOLDER");
  hints.push(
    "a proxy with its token in WEFT_IDENTITY_TOKEN, or in another file, needs a new one (weft identity token create), the former a restart with it",
    "see how it goes: weft diagnostics proxy-identity --admin HOST:PORT",
  );
  return hints;
}

function isoTime(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}
