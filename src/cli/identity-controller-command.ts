// `weft identity-controller`: from its options to a running identity component.

import { parseHostPort } from "../config/address.ts";
import { BAD_CONFIGURATION } from "../config/problem.ts";
import type { HostPort } from "../config/snapshot.ts";
import type { ControllerSettings } from "../control/identity/identity-controller.ts";
import type { GivenFiles } from "../control/identity/given-authority.ts";
import { LOG_LEVELS } from "../control/log.ts";
import type { ControlLogLevel } from "../control/log.ts";
import { isDnsLabel, isTrustDomain } from "../core/identity/names.ts";
import { TOKEN_AUDIENCE } from "../core/identity/join-token.ts";
import { parseDurationMs } from "../core/util/duration.ts";
import { contentKind } from "../core/util/secret-text.ts";
import { FAILURE } from "./output-format.ts";
import { packageVersion } from "./version-command.ts";

/** As they were given. */
export interface IdentityControllerOptions {
  readonly data?: string;
  readonly listen: string;
  readonly admin: string;
  readonly trustDomain?: string;
  readonly controlNamespace?: string;
  readonly leafLifetime: string;
  readonly issuerLifetime: string;
  readonly rootLifetime: string;
  readonly propagation: string;
  readonly clockSkew: string;
  readonly roots?: string;
  readonly issuerCert?: string;
  readonly issuerKey?: string;
  readonly oidcIssuer?: string;
  readonly oidcJwks?: string;
  readonly oidcJwksToken?: string;
  readonly oidcAudience?: string;
  readonly logLevel: string;
}

/** Lifetimes, shortest and longest. Seconds are for tests; ten years for whoever keeps a root that long. */
const LIFETIME_MIN_MS = 1_000;
const LIFETIME_MAX_MS = 3_660 * 86_400_000;
const SKEW_MAX_MS = 3_600_000;

/** Where the component listens unless it is told otherwise, for hints. */
const LISTEN_PORT = 8080;
const ADMIN_PORT = 8089;

/** A leaf must not see two issuers, an issuer not two roots: renewal at two thirds needs that room. */
const SHARE_MAX = 3;

/** Runs until it is told to stop; resolves to the exit code. */
export async function runIdentityController(options: IdentityControllerOptions): Promise<number> {
  const plan = planIdentityController(options);
  if ("problems" in plan) {
    process.stderr.write(plan.problems.map((problem) => `weft identity-controller: ${problem}\n`).join(""));
    return BAD_CONFIGURATION;
  }
  const { openLog } = await import("../control/log.ts");
  const { IdentityController } = await import("../control/identity/identity-controller.ts");
  const { log, flush } = openLog(plan.logLevel, "weft-identity");
  try {
    const controller = await IdentityController.start(plan.settings, log);
    const signal = await new Promise<string>((resolve) => {
      for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
    });
    log("info", "the identity component stops", { signal });
    await controller.close();
    return 0;
  } catch (error) {
    process.stderr.write(`weft identity-controller: ${startProblem(error as NodeJS.ErrnoException, plan.settings)}\n`);
    return FAILURE;
  } finally {
    flush();
  }
}

function startProblem(error: NodeJS.ErrnoException, { listen, admin }: ControllerSettings): string {
  if (error.code === "EADDRINUSE" || error.code === "WEFT_ADMIN_LISTEN") {
    const places = [`${listen.host}:${listen.port}`, ...(admin === null ? [] : [`${admin.host}:${admin.port}`])].join(" or ");
    return `cannot listen on ${places}: ${error.message}; choose another with --listen or --admin`;
  }
  return error.name === "FileProblem" || error.name === "Refusal" ? error.message : (error.stack ?? error.message);
}

/** What the options mean, or everything that is wrong with them. */
export function planIdentityController(
  options: IdentityControllerOptions,
): { readonly settings: ControllerSettings; readonly logLevel: ControlLogLevel } | { readonly problems: readonly string[] } {
  const problems: string[] = [];
  const listen = readListen("--listen", options.listen, LISTEN_PORT, problems);
  const admin = options.admin === "off" ? null : readListen("--admin", options.admin, ADMIN_PORT, problems);
  const rotation = readRotation(options, problems);
  const given = readGiven(options, problems);
  const serviceAccounts = readServiceAccounts(options, problems);
  const { data, trustDomain, controlNamespace } = options;
  if (data === undefined || data === "") problems.push("--data is missing: name a folder for the keys, which nobody else may read");
  if (trustDomain !== undefined && !isTrustDomain(trustDomain))
    problems.push(`--trust-domain: ${JSON.stringify(trustDomain)} is none; expected a name like cluster.local`);
  if (controlNamespace !== undefined && !isDnsLabel(controlNamespace))
    problems.push(`--control-namespace: ${JSON.stringify(controlNamespace)} is none; expected a name like weft`);
  const logLevel = LOG_LEVELS.find((level) => level === options.logLevel);
  if (logLevel === undefined) problems.push(`--log-level: ${JSON.stringify(options.logLevel)} is none; there are ${LOG_LEVELS.join(", ")}`);
  if (problems.length > 0 || listen === null || data === undefined || logLevel === undefined) return { problems };
  const names = { ...(trustDomain !== undefined && { trustDomain }), ...(controlNamespace !== undefined && { controlNamespace }) };
  return { settings: { data, names, listen, admin, rotation, given, serviceAccounts, version: packageVersion() }, logLevel };
}

function readRotation(options: IdentityControllerOptions, problems: string[]): ControllerSettings["rotation"] {
  const before = problems.length;
  const leafLifetimeMs = readDuration("--leaf-lifetime", options.leafLifetime, LIFETIME_MIN_MS, LIFETIME_MAX_MS, problems);
  const issuerLifetimeMs = readDuration("--issuer-lifetime", options.issuerLifetime, LIFETIME_MIN_MS, LIFETIME_MAX_MS, problems);
  const rootLifetimeMs = readDuration("--root-lifetime", options.rootLifetime, LIFETIME_MIN_MS, LIFETIME_MAX_MS, problems);
  const propagationMs = readDuration("--propagation", options.propagation, 0, LIFETIME_MAX_MS, problems);
  const skewMs = readDuration("--clock-skew", options.clockSkew, 0, SKEW_MAX_MS, problems);
  const isGiven = options.issuerCert !== undefined;
  if (problems.length === before && !isGiven) {
    if (leafLifetimeMs * SHARE_MAX > issuerLifetimeMs)
      problems.push(`--issuer-lifetime must be at least ${SHARE_MAX} times --leaf-lifetime, so that leaves live their full time`);
    if (issuerLifetimeMs * SHARE_MAX > rootLifetimeMs)
      problems.push(`--root-lifetime must be at least ${SHARE_MAX} times --issuer-lifetime`);
    if ((propagationMs + leafLifetimeMs) * SHARE_MAX > rootLifetimeMs)
      problems.push(`--root-lifetime must be at least ${SHARE_MAX} times --propagation and --leaf-lifetime together`);
  }
  return { leafLifetimeMs, issuerLifetimeMs, rootLifetimeMs, propagationMs, skewMs };
}

function readDuration(flag: string, text: string, minMs: number, maxMs: number, problems: string[]): number {
  const value = parseDurationMs(text);
  if (value !== null && value >= minMs && value <= maxMs) return value;
  const why =
    value === null
      ? "no duration; expected a number with ms, s, m, h or d, for example 24h"
      : `out of range: ${minMs / 1000}s to ${maxMs / 86_400_000}d`;
  problems.push(`${flag}: ${JSON.stringify(text)} is ${why}`);
  return minMs;
}

function readListen(flag: string, text: string, portMeant: number, problems: string[]): HostPort | null {
  const result = parseHostPort(text, "listen", portMeant);
  if ("ok" in result) return result.ok;
  problems.push(
    `${flag}: ${JSON.stringify(text)}: ${result.mistake.message}${result.mistake.hint === null ? "" : `; ${result.mistake.hint}`}`,
  );
  return null;
}

function readGiven({ roots, issuerCert, issuerKey }: IdentityControllerOptions, problems: string[]): GivenFiles | null {
  if (roots === undefined && issuerCert === undefined && issuerKey === undefined) return null;
  if (roots !== undefined && issuerCert !== undefined && issuerKey !== undefined) return { roots, issuerCert, issuerKey };
  problems.push("--roots, --issuer-cert and --issuer-key belong together: an issuer from outside needs all three");
  return null;
}

function readServiceAccounts(options: IdentityControllerOptions, problems: string[]): ControllerSettings["serviceAccounts"] {
  const { oidcIssuer: issuer, oidcJwks: jwks, oidcJwksToken: jwksToken, oidcAudience: audience = TOKEN_AUDIENCE } = options;
  if (issuer === undefined && jwks === undefined) {
    if (options.oidcAudience !== undefined) problems.push("--oidc-audience needs --oidc-issuer and --oidc-jwks");
    if (jwksToken !== undefined) problems.push("--oidc-jwks-token needs --oidc-issuer and --oidc-jwks");
    return null;
  }
  if (jwksToken !== undefined && contentKind(jwksToken) !== null)
    problems.push("--oidc-jwks-token is the path of a file; this looks like the token itself: put it in a file, and name that");
  if (jwksToken !== undefined && jwks !== undefined && !/^https?:/.test(jwks))
    problems.push("--oidc-jwks-token is for an address at --oidc-jwks, not for a file");
  if (issuer !== undefined && jwks !== undefined) return { issuer, jwks, audience, ...(jwksToken !== undefined && { jwksToken }) };
  problems.push("--oidc-issuer and --oidc-jwks belong together: whose tokens are believed, and where their keys are");
  return null;
}
