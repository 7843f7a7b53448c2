// `weft diagnostics proxy-identity`: what running proxies say of their own identity, by their admin ports.

import { formatHostPort, parseHostPort } from "../config/address.ts";
import { ADMIN_LISTEN, defaultAddress } from "../config/defaults.ts";
import type { HostPort } from "../config/snapshot.ts";
import { parseMetrics, sumOf } from "./demo/metrics-text.ts";
import { AdminProblem, askProxy, askStatus, type ProxyIdentityStatus } from "./diagnostics-admin.ts";
import { tableText } from "./diagnostics-table.ts";
import { printable } from "./identity-certificate.ts";
import { FAILURE, printJson } from "./output-format.ts";
import type { OutputFormat } from "./output-format.ts";
import { spanText } from "./span-text.ts";

export interface ProxyIdentityOptions {
  readonly admin?: readonly string[];
  readonly output: OutputFormat;
}

/** Proxies asked at once. */
const ASKED_MAX = 16;

interface Told {
  readonly admin: string;
  /** Null: in no mesh. */
  readonly identity: (ProxyIdentityStatus & { readonly refreshes: { readonly ok: number; readonly failed: number } }) | null;
}

type Outcome = Told | { readonly admin: string; readonly problem: string };

/** Resolves to the exit code: 0 when every proxy could be asked, else 1. */
export async function runProxyIdentity({ admin = [ADMIN_LISTEN], output }: ProxyIdentityOptions): Promise<number> {
  const places: HostPort[] = [];
  for (const text of admin) {
    const result = parseHostPort(text, "target", defaultAddress(ADMIN_LISTEN).port);
    if ("ok" in result) {
      places.push(result.ok);
      continue;
    }
    const { message, hint } = result.mistake;
    process.stderr.write(
      `weft diagnostics proxy-identity: --admin: ${JSON.stringify(text)}: ${message}${hint === null ? "" : `; ${hint}`}\n`,
    );
    return FAILURE;
  }
  const outcomes: Outcome[] = [];
  for (let from = 0; from < places.length; from += ASKED_MAX) {
    outcomes.push(...(await Promise.all(places.slice(from, from + ASKED_MAX).map(ask))));
  }
  if (output === "json") {
    printJson(outcomes.map((outcome) => ("problem" in outcome ? { admin: outcome.admin, error: outcome.problem } : outcome)));
  } else print(outcomes, Date.now());
  return outcomes.some((outcome) => "problem" in outcome) ? FAILURE : 0;
}

async function ask(place: HostPort): Promise<Outcome> {
  const admin = formatHostPort(place);
  try {
    const { identity } = await askStatus(place);
    if (identity === null) return { admin, identity };
    const metrics = parseMetrics(await askProxy(place, "/metrics"));
    const count = (result: string): number => sumOf(metrics, "control_identity_cert_refreshes_total", { result });
    return { admin, identity: { ...identity, refreshes: { ok: count("ok"), failed: count("error") } } };
  } catch (error) {
    if (!(error instanceof AdminProblem)) throw error;
    return { admin, problem: error.message };
  }
}

function print(outcomes: readonly Outcome[], nowMs: number): void {
  const told = outcomes.filter((outcome): outcome is Told => !("problem" in outcome));
  for (const outcome of outcomes) {
    if ("problem" in outcome) process.stderr.write(`weft diagnostics proxy-identity: ${outcome.problem}\n`);
  }
  if (told.length === 0) return;
  const rows = told.map((it) => row(it, nowMs));
  process.stdout.write(tableText(["ADMIN", "IDENTITY", "CERTIFICATE", "ENDS", "NEXT", "REFRESHES", "FAILED", "COMPONENT"], rows));
  const roots = told.flatMap(({ admin, identity }) =>
    (identity?.roots ?? []).map(({ subject, fingerprint, notAfter }) => [admin, printable(subject), fingerprint, endText(notAfter, nowMs)]),
  );
  if (roots.length > 0) process.stdout.write(`\n${tableText(["ADMIN", "ROOT", "SHA-256 FINGERPRINT", "ENDS"], roots)}`);
  const failures = told.flatMap((it) => failureLine(it, nowMs));
  if (failures.length > 0) process.stdout.write(`\n${failures.join("")}`);
}

function row({ admin, identity }: Told, nowMs: number): string[] {
  if (identity === null) return [admin, "-", "in no mesh", "-", "-", "-", "-", "-"];
  const { name, state, source, certificate, nextAttemptAt, refreshes, controller, isControllerReached } = identity;
  const component = controller === null ? "files" : `${controller}${isControllerReached === true ? "" : " (not reached)"}`;
  const next = source === "files" ? "-" : nextAttemptAt === null ? "now" : futureText(nextAttemptAt, nowMs);
  const ends = certificate === null ? "-" : endText(certificate.notAfter, nowMs);
  const counts = source === "files" ? ["-", "-"] : [String(refreshes.ok), String(refreshes.failed)];
  return [admin, printable(name ?? "-"), printable(state), ends, next, ...counts, component];
}

function failureLine({ admin, identity }: Told, nowMs: number): string[] {
  if (identity?.lastFailure == null) return [];
  const { lastFailure, failedAttempts } = identity;
  const ago = spanText(Math.max(0, nowMs - Date.parse(lastFailure.at)));
  const since = failedAttempts === 0 ? "since then it works" : `${failedAttempts} failed in a row`;
  return [`${admin}: last failure ${ago} ago (${since}): ${printable(lastFailure.reason)}: ${printable(lastFailure.message)}\n`];
}

function endText(iso: string, nowMs: number): string {
  const leftMs = Date.parse(iso) - nowMs;
  return leftMs > 0 ? `in ${spanText(leftMs)}` : `${spanText(-leftMs)} ago`;
}

function futureText(iso: string, nowMs: number): string {
  const leftMs = Date.parse(iso) - nowMs;
  return leftMs < 1_000 ? "now" : `in ${spanText(leftMs)}`;
}
