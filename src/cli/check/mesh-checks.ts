// The checks of a running mesh that are not about certificates: what there is, clocks, proxies, versions. Each judges the reports as they are
// when it is its turn.

import { packageVersion } from "../version-command.ts";
import { type Check, failureOf, type Outcome } from "./run-checks.ts";
import type { ClockReading, ContainerState, Mesh } from "./reports.ts";

/** Clocks that differ by so much will soon differ by more; a loaded machine answers late by less. */
const SKEW_WARNING_MS = 5_000;
/** What the identity component allows for, unless it is told otherwise (--clock-skew): beyond it new certificates are not valid yet. */
export const SKEW_ERROR_MS = 20_000;

/** Restarts of a container that runs now: one is an accident. */
const RESTARTS_MAX = 3;

export type Look = () => Mesh;

/** `needsProxies`: without any there is nothing to check (--proxy). */
export function existenceChecks(mesh: Look, needsProxies = false): Check[] {
  return [
    { id: "weft-existence-found", look: () => lookForAny(mesh()) },
    { id: "weft-existence-elsewhere", look: () => lookForOthers(mesh()) },
    { id: "weft-existence-containers", look: () => lookAtContainers(mesh().containers) },
    { id: "weft-existence-init", look: () => lookAtInit(mesh().containers) },
    { id: "weft-existence-identity", look: () => lookAtComponent(mesh()) },
    { id: "weft-existence-proxies", look: () => lookAtProxies(mesh()) },
    { id: "weft-existence-data-plane", look: () => lookForProxies(mesh(), needsProxies) },
  ];
}

export function dataPlaneChecks(mesh: Look): Check[] {
  return [
    { id: "weft-data-plane-ready", look: () => lookAtReadiness(mesh()) },
    { id: "weft-data-plane-config", look: () => lookAtReloads(mesh()) },
  ];
}

export function clockChecks(mesh: Look): Check[] {
  return [{ id: "weft-clock-skew", look: () => lookAtClocks(mesh()) }];
}

/** `expected`: what --expected-version says, null without it. */
export function versionChecks(mesh: Look, expected: string | null): Check[] {
  const own = packageVersion();
  return [
    { id: "weft-version-expected", look: () => (expected === null ? null : failureOf(differing([["this command", own]], expected))) },
    { id: "weft-version-identity", look: () => lookAtComponentVersion(mesh(), own) },
    { id: "weft-version-proxies", look: () => lookAtProxyVersions(mesh(), own) },
  ];
}

function lookForAny(mesh: Mesh): Outcome {
  const { soughtIn, leftOut } = mesh;
  if (hasParts(mesh)) return { ok: true, note: soughtIn };
  const elsewhere = leftOut.length === 0 ? [] : [`something answers on this host: look at it with ${leftOut.join(" ")}`];
  return failureOf([`there is neither a proxy nor an identity component in ${soughtIn}`, ...elsewhere]);
}

/** An init container that has ended is no part: of a project that was taken down it may be all that is left. */
export function hasParts({ proxies, component, containers }: Mesh): boolean {
  return proxies.length > 0 || component !== null || (containers ?? []).some(({ part }) => part !== "init");
}

function lookForOthers({ soughtIn, leftOut }: Mesh): Outcome {
  if (leftOut.length === 0) return null;
  return failureOf([`only ${soughtIn} was looked at; something answers on this host, too: look at it with ${leftOut.join(" ")}`]);
}

function lookForProxies({ proxies, proxiesSought }: Mesh, needsProxies: boolean): Outcome {
  if (proxies.length > 0) return { ok: true, note: String(proxies.length) };
  return failureOf([`no proxy found ${proxiesSought}`], needsProxies ? "error" : "warning");
}

function lookAtContainers(containers: readonly ContainerState[] | null): Outcome {
  const staying = (containers ?? []).filter(({ part }) => part !== "init");
  if (staying.length === 0) return null;
  const lines = staying.flatMap(({ name, status, exitCode, restarts }) => {
    if (status === "restarting" || (status === "running" && restarts > RESTARTS_MAX))
      return [`${name} is restarted again and again (${restarts} times; it ended with ${exitCode})`];
    return status === "running" ? [] : [`${name} does not run: ${status}${status === "exited" ? ` with ${exitCode}` : ""}`];
  });
  return failureOf([...lines, ...lonelyOf(staying)]);
}

/** Applications whose network namespace is there and whose proxy is gone: nothing can reach them. */
function lonelyOf(staying: readonly ContainerState[]): string[] {
  const proxied = new Set(staying.filter(({ part }) => part === "proxy").map(({ service }) => service));
  const held = new Set(staying.filter(({ part }) => part === "net").map(({ service }) => service));
  return [...held].filter((service) => !proxied.has(service)).map((service) => `${service} has no container for its proxy`);
}

function lookAtInit(containers: readonly ContainerState[] | null): Outcome {
  const init = (containers ?? []).filter(({ part }) => part === "init");
  if (init.length === 0) return null;
  return failureOf(
    init.flatMap(({ name, status, exitCode }) => {
      if (status !== "exited") return [`${name} has not ended: ${status}`];
      return exitCode === 0 ? [] : [`${name} ended with ${exitCode}`];
    }),
  );
}

function lookAtComponent({ component }: Mesh): Outcome {
  if (component === null) return null;
  const { name, report } = component;
  if (report.problem !== null) return failureOf([`${name}: ${report.problem}`]);
  return failureOf(report.isReady ? [] : [`${name} answers, but is not ready: it has no valid issuer, or no certificate of its own`]);
}

function lookAtProxies({ proxies }: Mesh): Outcome {
  if (proxies.length === 0) return null;
  return failureOf(proxies.flatMap(({ name, report }) => (report.problem === null ? [] : [`${name}: ${report.problem}`])));
}

function lookAtReadiness({ proxies }: Mesh): Outcome {
  const answering = proxies.filter(({ report }) => report.problem === null);
  if (answering.length === 0) return null;
  return failureOf(
    answering.flatMap(({ name, report }) => {
      if (report.isReady) return [];
      const failure = report.identity?.lastFailure ?? null;
      const why = report.identity?.state === "waiting" ? ": it waits for its certificate" : "";
      return [`${name} is not ready${why}${failure === null ? "" : `; ${failure}`}`];
    }),
  );
}

function lookAtReloads({ proxies }: Mesh): Outcome {
  const answering = proxies.filter(({ report }) => report.problem === null);
  if (answering.length === 0) return null;
  return failureOf(
    answering.flatMap(({ name, report }) =>
      report.isReloadRefused ? [`${name} refused its configuration when it changed last, and runs the one before`] : [],
    ),
  );
}

function lookAtClocks({ proxies, component }: Mesh): Outcome {
  const everybody = [...(component === null ? [] : [component]), ...proxies];
  const clocks = everybody.flatMap(({ name, report }) => (report.clock === null ? [] : [{ name, clock: report.clock }]));
  if (clocks.length === 0) return null;
  return skewOutcome(clocks);
}

/** Judges clocks beside the one here. */
export function skewOutcome(clocks: readonly { readonly name: string; readonly clock: ClockReading }[]): Outcome {
  const off = clocks.map(({ name, clock }) => ({ name, clock, surelyMs: Math.abs(clock.aheadMs) - clock.uncertainMs }));
  const wrong = off.filter(({ surelyMs }) => surelyMs > SKEW_WARNING_MS);
  const isError = wrong.some(({ surelyMs }) => surelyMs > SKEW_ERROR_MS);
  return failureOf(
    wrong.map(
      ({ name, clock: { aheadMs } }) =>
        `the clock of ${name} is ${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs > 0 ? "ahead of" : "behind"} this one`,
    ),
    isError ? "error" : "warning",
  );
}

function lookAtComponentVersion({ component }: Mesh, own: string): Outcome {
  const version = component?.report.version ?? null;
  return component === null || version === null ? null : failureOf(differing([[component.name, version]], own));
}

function lookAtProxyVersions({ proxies }: Mesh, own: string): Outcome {
  const versions = proxies.flatMap(({ name, report }): [string, string][] => (report.version === null ? [] : [[name, report.version]]));
  return versions.length === 0 ? null : failureOf(differing(versions, own));
}

function differing(versions: readonly (readonly [string, string])[], wanted: string): string[] {
  return versions.flatMap(([name, version]) => (version === wanted ? [] : [`${name} is ${version}, and not ${wanted}`]));
}
