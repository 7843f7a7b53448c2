// What the identity component counts, and how /metrics shows it.

import { processFamilies } from "../../admin/process-metrics.ts";
import type { IdentityErrorCode } from "../../core/errors/identity-errors.ts";
import { singleValue } from "../../core/telemetry/merge.ts";
import type { Family } from "../../core/telemetry/merge.ts";
import type { MetricName } from "../../core/telemetry/metric-names.ts";
import { exposition } from "../../core/telemetry/prometheus.ts";
import type { Authority } from "./authority.ts";

/** What is read at the moment of a scrape. */
export interface Watched {
  readonly authority: Authority;
  readonly own: { readonly notAfterMs: number };
  readonly server: { readonly connections: number; readonly watchers: number };
  readonly usedTokens: { readonly size: number };
}

export class IdentityMetrics {
  readonly #version: string;
  readonly #issued = { token: 0, certificate: 0 };
  /** By code: the table of codes bounds it. */
  readonly #refused = new Map<IdentityErrorCode, number>();
  #failures = 0;
  #watched: Watched | null = null;

  constructor(version: string) {
    this.#version = version;
  }

  watch(watched: Watched): void {
    this.#watched = watched;
  }

  countIssued(by: "token" | "certificate"): void {
    this.#issued[by]++;
  }

  countRefused(code: IdentityErrorCode): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
  }

  countFailure(): void {
    this.#failures++;
  }

  /** The text of /metrics, in slices. */
  async text(): Promise<Iterable<string>> {
    return exposition([...this.#families(), ...(await processFamilies({ version: this.#version }))], performance.now());
  }

  *#families(): Generator<Family> {
    yield family("identity_certificates_issued_total", "by", Object.entries(this.#issued));
    if (this.#refused.size > 0) yield family("identity_requests_refused_total", "code", [...this.#refused]);
    yield singleValue("identity_renewal_failures_total", {}, this.#failures);
    if (this.#watched === null) return;
    const { authority, own, server, usedTokens } = this.#watched;
    const { status } = authority;
    const active = status.roots.find(({ phase }) => phase === "active");
    const gauges: readonly (readonly [MetricName, number])[] = [
      ["identity_bundle_version", status.bundleVersion],
      ["identity_bundle_roots", status.roots.length],
      ["identity_root_expiration_timestamp_seconds", (active?.notAfterMs ?? 0) / 1000],
      ["identity_issuer_expiration_timestamp_seconds", status.issuerNotAfterMs / 1000],
      ["identity_own_expiration_timestamp_seconds", own.notAfterMs / 1000],
      ["identity_connections", server.connections],
      ["identity_watches", server.watchers],
      ["identity_used_tokens", usedTokens.size],
    ];
    for (const [metric, value] of gauges) yield singleValue(metric, {}, value);
  }
}

/** One family with a series per label value. */
function family(metric: MetricName, label: string, values: readonly (readonly [string, number])[]): Family {
  return { metric, series: values.flatMap(([value, count]) => [...singleValue(metric, { [label]: value }, count).series]) };
}
