// The mesh of a compose project: its containers, and what those that are proxies or the identity component say, each asked from inside by a
// `weft check --report`, because their admin ports are on loopback there.

import type { Engine, Inspected, Listed } from "./engine.ts";
import { type ClockReading, type ComponentReport, type ContainerState, type Mesh, parseReport, type ProxyReport } from "./reports.ts";
import { silentComponent, silentProxy } from "./reports.ts";

/** Containers that are asked at one time: each starts a Node. */
const ASKED_MAX = 4;

interface Found {
  readonly container: Listed;
  readonly inspected: Inspected;
}

/** Rejects with an Error that says why the engine cannot be asked. */
export async function containerMesh(engine: Engine, project: string): Promise<Mesh> {
  const listed = await engine.containers(project);
  const found: Found[] = [];
  for (const container of listed.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const inspected = await engine.inspect(container.id);
    if (!isEndedJob(inspected)) found.push({ container, inspected });
  }
  const proxies = await inTurns(
    found.filter(({ container }) => container.part === "proxy"),
    async (one) => ({ name: one.container.name, report: await askInside(engine, one, "proxy") }),
  );
  const identity = found.find(({ container }) => container.part === "identity");
  const component =
    identity === undefined ? null : { name: identity.container.name, report: await askInside(engine, identity, "identity") };
  const soughtIn = `the compose project ${JSON.stringify(project)}`;
  return { soughtIn, proxiesSought: `in ${soughtIn}`, leftOut: [], proxies, component, containers: found.map(stateOf) };
}

/** The sidecar or the holder of a job (docs/jobs.md): it ends with its application, and that is well. */
function isEndedJob({ status, exitCode, command }: Inspected): boolean {
  return status === "exited" && exitCode === 0 && command.includes("--job");
}

function stateOf({ container: { name, part, service }, inspected: { status, exitCode, restarts } }: Found): ContainerState {
  return { name, part, service, status, exitCode, restarts };
}

async function askInside(engine: Engine, found: Found, kind: "proxy"): Promise<ProxyReport>;
async function askInside(engine: Engine, found: Found, kind: "identity"): Promise<ComponentReport>;
async function askInside(engine: Engine, found: Found, kind: "proxy" | "identity"): Promise<ProxyReport | ComponentReport> {
  const silent = kind === "proxy" ? silentProxy : silentComponent;
  const { container, inspected } = found;
  if (inspected.status !== "running") return silent(`its container does not run (${inspected.status})`);
  try {
    const askedAtMs = Date.now();
    const command = JSON.stringify(inspected.command);
    const text = await engine.run(container.id, [...inspected.entrypoint, "check", "--report", kind, "--command", command]);
    const answeredAtMs = Date.now();
    const dated = parseReport(text);
    if (dated === null || dated.report.kind !== kind) return silent("the Weft in it is of another version: it cannot be asked by this one");
    return { ...dated.report, clock: clockBetween(dated.nowMs, askedAtMs, answeredAtMs) };
  } catch (error) {
    return silent((error as Error).message);
  }
}

/** The container's clock: what is in it was asked by that very clock. */
function clockBetween(nowMs: number, askedAtMs: number, answeredAtMs: number): ClockReading {
  return { aheadMs: nowMs - (askedAtMs + answeredAtMs) / 2, uncertainMs: Math.abs(answeredAtMs - askedAtMs) / 2 };
}

/** The results in the order of the items, a few at a time. */
async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += ASKED_MAX) {
    results.push(...(await Promise.all(items.slice(at, at + ASKED_MAX).map(work))));
  }
  return results;
}
