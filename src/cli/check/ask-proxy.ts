// A proxy, asked on its admin port: ready or not, what its metrics say, who it is and whom it trusts.

import { parseMetrics, type Sample } from "../demo/metrics-text.ts";
import { type Answer, ask, type Place } from "./ask.ts";
import { type ClockReading, isRecord, type ProxyIdentityFacts, type ProxyReport, silentProxy } from "./reports.ts";

const OK = 200;

/** Never rejects: why there is no answer is in the report. */
export async function askProxy(place: Place): Promise<ProxyReport> {
  try {
    const ready = await ask(place, { path: "/ready" });
    const metrics = await ask(place, { path: "/metrics" });
    if (metrics.status !== OK) return silentProxy(`it answers ${metrics.status} to /metrics: this is no admin port of a proxy`);
    const samples = parseMetrics(metrics.body.toString("utf8"));
    if (versionOf(samples) === null) return silentProxy("its /metrics are not Weft's: this is no admin port of a proxy");
    if (samples.some(({ name }) => name === "identity_bundle_version"))
      return silentProxy("this is an identity component: name it with --identity-admin");
    const lastReload = samples.find(({ name }) => name === "proxy_config_last_reload_ok");
    return {
      kind: "proxy",
      problem: null,
      isReady: ready.status === OK,
      version: versionOf(samples),
      clock: clockOf(samples, metrics),
      isReloadRefused: lastReload?.value === 0,
      identity: await askIdentity(place),
    };
  } catch (error) {
    return silentProxy((error as Error).message);
  }
}

/** Of whatever serves Weft's metrics. */
export function versionOf(samples: readonly Sample[]): string | null {
  return samples.find(({ name }) => name === "proxy_build_info")?.labels["version"] ?? null;
}

/** The clock of whoever answered, which looked at it between the question and the answer. */
export function clockOf(samples: readonly Sample[], { askedAtMs, answeredAtMs }: Answer): ClockReading | null {
  const sample = samples.find(({ name }) => name === "process_clock_time_seconds");
  if (sample === undefined || !Number.isFinite(sample.value)) return null;
  return { aheadMs: sample.value * 1000 - (askedAtMs + answeredAtMs) / 2, uncertainMs: Math.abs(answeredAtMs - askedAtMs) / 2 };
}

async function askIdentity(place: Place): Promise<ProxyIdentityFacts | null> {
  const { status, body } = await ask(place, { path: "/stats.json" });
  if (status !== OK) throw new Error(`it answers ${status} to /stats.json`);
  const stats: unknown = JSON.parse(body.toString("utf8"));
  const identity = isRecord(stats) ? stats["identity"] : null;
  if (!isRecord(identity)) return null;
  const { name, state, source, certificate, roots, failedAttempts, lastFailure } = identity;
  return {
    name: typeof name === "string" ? name : null,
    state: String(state),
    isCertified: source === "controller",
    certificate: isRecord(certificate)
      ? { issuer: String(certificate["issuer"]), fromMs: timeOf(certificate["notBefore"]), toMs: timeOf(certificate["notAfter"]) }
      : null,
    anchors: Array.isArray(roots) ? roots.filter(isRecord).map(({ fingerprint }) => String(fingerprint)) : [],
    failedAttempts: typeof failedAttempts === "number" ? failedAttempts : 0,
    lastFailure: isRecord(lastFailure) ? `${String(lastFailure["message"])} (${String(lastFailure["at"])})` : null,
  };
}

function timeOf(text: unknown): number {
  return Date.parse(String(text));
}
