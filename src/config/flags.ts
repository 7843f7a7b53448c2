// A snapshot without any file: `weft proxy --listen HOST:PORT --to HOST:PORT[,HOST:PORT...]`.
//
// One listener, one service, whatever name a request gives. Everything else has its default.

import { formatHostPort, parseHostPort } from "./address.ts";
import type { AddressUse } from "./address.ts";
import { deepFreeze } from "./deep-freeze.ts";
import { ADMIN_LISTEN, defaultAddress, LOG_LEVEL, NAMESPACE } from "./defaults.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { collide, reaches } from "./listener-conflicts.ts";
import type { Problem } from "./problem.ts";
import { serviceKey } from "./service-catalog.ts";
import type { HostPort, ProxySnapshot } from "./snapshot.ts";
import { makeTargetService } from "./target-service.ts";

export interface ProxyFlags {
  /** Of `--listen`. */
  readonly listen: string;
  /** Of `--to`, one or more. */
  readonly to: readonly string[];
  /** Of `--workers`. */
  readonly workers?: number | "auto";
  /** Of `--admin`: `HOST:PORT` or `off`. */
  readonly admin?: string;
  /** Of `--name`: how the proxy calls itself in logs and metrics. */
  readonly name?: string;
}

/** The name of the one service behind `--to`. */
const TARGET_NAME = "upstream";

/** The snapshot that the flags mean, or what is wrong with them. */
export function flagsToSnapshot(flags: ProxyFlags): { readonly snapshot: ProxySnapshot } | { readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const listen = readFlag("--listen", flags.listen, "listen", problems);
  const targets = flags.to.map((text) => readFlag("--to", text, "target", problems));
  if (flags.to.length === 0) problems.push(flagProblem("--to", "it names no endpoint", "expected HOST:PORT[,HOST:PORT...]"));
  const admin = readAdminFlag(flags.admin ?? ADMIN_LISTEN, problems);
  if (listen === null || admin === undefined) return { problems };
  for (const target of targets) {
    if (target === null) continue;
    if (reaches(target, listen))
      problems.push(flagProblem("--to", `${formatHostPort(target)} is the proxy's own listener`, "requests would go round in a circle"));
    if (admin !== null && reaches(target, admin))
      problems.push(
        flagProblem("--to", `${formatHostPort(target)} is the proxy's own admin port`, "the proxy's clients would count as local there"),
      );
  }
  if (admin !== null && collide(listen, admin)) {
    problems.push(flagProblem("--listen", `${formatHostPort(listen)} is the admin port too`, "choose another, or --admin off"));
  }
  if (problems.length > 0) return { problems };
  return { snapshot: deepFreeze(buildSnapshot(flags, listen, unique(targets), admin)) };
}

/** `--admin`: the address, `null` for `off`, `undefined` after reporting a mistake. */
export function readAdminFlag(text: string, problems: Problem[]): HostPort | null | undefined {
  if (text === "off") return null;
  return readFlag("--admin", text, "listen", problems, defaultAddress(ADMIN_LISTEN).port) ?? undefined;
}

function buildSnapshot(flags: ProxyFlags, listen: HostPort, targets: readonly HostPort[], admin: HostPort | null): ProxySnapshot {
  const key = serviceKey(NAMESPACE, TARGET_NAME);
  return {
    name: flags.name ?? "proxy",
    namespace: NAMESPACE,
    workers: flags.workers ?? "auto",
    listeners: [{ id: "outbound", direction: "outbound", listen, protocol: "detect", service: key }],
    outbound: { default: key, unknown: "refuse", allowOverride: false },
    admin,
    shutdownEndpoint: true,
    forwarded: false,
    allowConnect: false,
    accessLog: "off",
    logLevel: LOG_LEVEL,
    limits: DEFAULT_LIMITS,
    services: [makeTargetService({ key, name: TARGET_NAME, namespace: NAMESPACE }, targets)],
  };
}

function readFlag(flag: string, text: string, use: AddressUse, problems: Problem[], portMeant?: number): HostPort | null {
  const result = parseHostPort(text.trim(), use, portMeant);
  if ("ok" in result) return result.ok;
  problems.push(flagProblem(flag, `${JSON.stringify(text)}: ${result.mistake.message}`, result.mistake.hint));
  return null;
}

function flagProblem(flag: string, message: string, hint: string | null): Problem {
  return { file: flag, line: 0, column: 0, severity: "error", message, hint };
}

function unique(targets: readonly (HostPort | null)[]): HostPort[] {
  const byText = new Map<string, HostPort>();
  for (const target of targets) if (target !== null) byText.set(formatHostPort(target), target);
  return [...byText.values()];
}
