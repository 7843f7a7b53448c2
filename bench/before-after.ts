// The before-and-after of the guide: `ab -n 10000 -c 100`, with and without -k, straight to the service and through Weft.
//
// Every figure is ab's own. Runs alternate, without and with, after Weft has been warmed as for every benchmark; the service is nginx,
// because ab speaks HTTP/1.0 and needs somebody who answers it.

import { runTool, parseAb, versionOf } from "./load/tools.ts";
import { WARM_REQUESTS } from "./load/scenario.ts";
import { UsageError } from "./options.ts";
import { NGINX } from "./peers/nginx.ts";
import { startOrigin, startProxy, stopAll } from "./peers/start.ts";
import type { Peer } from "./peers/peer.ts";
import type { AbReport, BeforeAfter, BeforeAfterCase } from "./result.ts";
import { progress } from "./support/progress.ts";

const DEADLINE_MS = 120_000;

export interface BeforeAfterOptions {
  readonly requests: number;
  readonly concurrency: number;
  readonly runs: number;
  readonly workers: number;
  readonly quick: boolean;
}

function figureAfter(pattern: RegExp, output: string): number {
  const found = pattern.exec(output)?.[1];
  if (found === undefined) throw new Error(`ab said nothing like ${pattern}:\n${output}`);
  return Number(found);
}

/** ab's own words as figures. Throws when something is missing in them. */
export function abReport(commandLine: string, output: string): AbReport {
  const { latencyUs } = parseAb(output).report;
  const failed = figureAfter(/Failed requests: +(\d+)/, output) + Number(/Non-2xx responses: +(\d+)/.exec(output)?.[1] ?? 0);
  return {
    commandLine,
    requests: figureAfter(/Complete requests: +(\d+)/, output),
    failed,
    requestsPerSecond: figureAfter(/Requests per second: +([\d.]+)/, output),
    timePerRequestMs: figureAfter(/Time per request: +([\d.]+) \[ms\] \(mean\)/, output),
    timePerRequestConcurrentMs: figureAfter(/Time per request: +([\d.]+) \[ms\] \(mean, across/, output),
    transferKbPerSecond: figureAfter(/Transfer rate: +([\d.]+) /, output),
    percentilesMs: Object.fromEntries(Object.entries(latencyUs).map(([percent, us]) => [percent, us / 1000])),
    output,
  };
}

async function once(target: Peer, options: BeforeAfterOptions, keepAlive: boolean, requests: number): Promise<AbReport> {
  const args = [
    "-n",
    String(requests),
    "-c",
    String(options.concurrency),
    ...(keepAlive ? ["-k"] : []),
    `http://127.0.0.1:${target.port}/`,
  ];
  return abReport(`ab ${args.join(" ")}`, await runTool("ab", ["-q", ...args], DEADLINE_MS));
}

async function oneCase(origin: Peer, weft: Peer, options: BeforeAfterOptions, keepAlive: boolean): Promise<BeforeAfterCase> {
  const found = { without: [] as AbReport[], with: [] as AbReport[] };
  const name = keepAlive ? "ab -k" : "ab";
  progress(`${name}: warming weft`);
  await once(weft, options, keepAlive, Math.max(options.concurrency, options.quick ? WARM_REQUESTS / 10 : WARM_REQUESTS));
  for (let run = 1; run <= options.runs; run++) {
    progress(`${name}: run ${run} of ${options.runs}`);
    found.without.push(await once(origin, options, keepAlive, options.requests));
    found.with.push(await once(weft, options, keepAlive, options.requests));
  }
  return { keepAlive, ...found };
}

/** Throws UsageError when ab or nginx is not installed. */
export async function measureBeforeAfter(options: BeforeAfterOptions): Promise<BeforeAfter> {
  if (versionOf("ab") === null) throw new UsageError("ab is not installed: apt-get install apache2-utils");
  if (NGINX.version() === null) throw new UsageError(`a service that answers ab's HTTP/1.0 is needed: ${NGINX.install}`);
  const origin = await startOrigin("nginx");
  const started: Peer[] = [origin];
  try {
    const weft = await startProxy("weft", origin.port, options.workers);
    started.push(weft);
    const cases = [await oneCase(origin, weft, options, false), await oneCase(origin, weft, options, true)];
    return { requests: options.requests, concurrency: options.concurrency, cases };
  } finally {
    await stopAll(started);
  }
}
