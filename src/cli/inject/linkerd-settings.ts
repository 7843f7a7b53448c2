// What `config.linkerd.io/...` says about a workload's sidecar (reference: Linkerd's annotations), read and checked.
//
// Shared by every kind of injector: names and values are Linkerd's, what cannot mean anything for Weft is told. A value that cannot be read is a problem and
// changes nothing.

import { LIMITS } from "../../config/limits.ts";
import { nearest } from "../../config/did-you-mean.ts";
import { DEFAULT_POLICIES } from "../../core/policy/default-policy.ts";
import { parseDurationMs } from "../../core/util/duration.ts";
import { parsePorts, parseSubnets } from "../init/rules.ts";

export const SETTING_PREFIX = "config.linkerd.io/";
export const INJECT_KEY = "linkerd.io/inject";

/** Linkerd's default opaque ports: SMTP, MySQL, Galera, PostgreSQL, Redis, Elasticsearch's transport, Memcached. */
export const OPAQUE_PORTS: readonly string[] = ["25", "587", "3306", "4444", "5432", "6379", "9300", "11211"];

/** Bytes. A sidecar with one worker takes 80 to 95 MB while it starts, beside the pages of its program. */
const MEMORY_LIMIT_MIN = 128 * 2 ** 20;
/** What is expected of a limit below that. */
export const ENOUGH_MEMORY = "128Mi or more: with less the kernel ends a sidecar while it starts";

export const PULL_POLICIES = ["Always", "IfNotPresent", "Never"] as const;
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevelName = (typeof LOG_LEVELS)[number];

/** Settings that mean something for Weft, and how they are checked: null, or what is expected. */
const SETTINGS: Readonly<Record<string, (text: string) => string | null>> = {
  "proxy-image": (text) => (text.trim() === "" ? "an image" : null),
  "proxy-version": (text) => (/^[\w][\w.-]{0,127}$/.test(text) ? null : "a tag of the image"),
  "image-pull-policy": (text) => oneOf(PULL_POLICIES, text),
  "inbound-port": port,
  "outbound-port": port,
  "admin-port": port,
  "pod-inbound-ports": ports,
  "skip-inbound-ports": ports,
  "skip-outbound-ports": ports,
  "opaque-ports": ports,
  "proxy-require-identity-inbound-ports": ports,
  "skip-subnets": (text) => (parseSubnets(text) === null ? "networks such as 10.1.0.0/16" : null),
  "proxy-cpu-request": cpu,
  "proxy-cpu-limit": cpu,
  "proxy-memory-request": memory,
  "proxy-memory-limit": (text) => memory(text) ?? (isTooLittleMemory(text) ? ENOUGH_MEMORY : null),
  "proxy-uid": (text) => (/^[1-9][0-9]{0,9}$/.test(text) && Number(text) < 2 ** 31 ? null : "the number of a user, not root"),
  "proxy-gid": (text) => (/^[0-9]{1,10}$/.test(text) ? null : "the number of a group"),
  "proxy-admin-shutdown": (text) => (/^(?:enabled|disabled)$/.test(text) ? null : "enabled or disabled"),
  "proxy-log-level": (text) => (logLevelOf(text) === null ? `one of ${LOG_LEVELS.join(", ")}` : null),
  "access-log": (text) => (/^(?:apache|json)?$/.test(text) ? null : "apache or json"),
  "proxy-outbound-connect-timeout": (text) => duration(text, "connectTimeoutMs"),
  "proxy-await": (text) => (/^(?:enabled|disabled)$/.test(text) ? null : "enabled or disabled"),
  "default-inbound-policy": (text) => oneOf(DEFAULT_POLICIES, text),
  "shutdown-grace-period": (text) => duration(text, "drainGraceMs"),
  "proxy-additional-env": (text) => (additionalEnv(text) === null ? 'a list such as [{"name": "A", "value": "b"}]' : null),
};

/** Settings of Linkerd's that have nothing to act on here. */
const WITHOUT_EFFECT: readonly string[] = [
  "control-port",
  "proxy-cpu-ratio-limit",
  "proxy-ephemeral-storage-request",
  "proxy-ephemeral-storage-limit",
  "proxy-log-format",
  "proxy-log-http-headers",
  "enable-external-profiles",
  "proxy-metrics-hostname-labels",
  "proxy-inbound-connect-timeout",
  "proxy-outbound-discovery-cache-unused-timeout",
  "proxy-inbound-discovery-cache-unused-timeout",
  "proxy-disable-outbound-protocol-detect-timeout",
  "proxy-disable-inbound-protocol-detect-timeout",
  "enable-gateway",
  "enable-debug-sidecar",
  "close-wait-timeout",
  "proxy-enable-native-sidecar",
];

export interface SettingMistake {
  readonly message: string;
  readonly hint: string | null;
}

/** What is wrong with a setting, by its name without the prefix; null when it is one of ours and well written. */
export function settingMistake(name: string, text: string): SettingMistake | null {
  const check = Object.hasOwn(SETTINGS, name) ? SETTINGS[name]! : null;
  if (check === null) {
    if (WITHOUT_EFFECT.includes(name)) return { message: `${SETTING_PREFIX}${name} has no effect on Weft's sidecars`, hint: null };
    const near = nearest(name, [...Object.keys(SETTINGS), ...WITHOUT_EFFECT]);
    return { message: `there is no ${SETTING_PREFIX}${name}`, hint: near === null ? null : `did you mean ${SETTING_PREFIX}${near}?` };
  }
  const expected = check(text);
  return expected === null
    ? null
    : { message: `${SETTING_PREFIX}${name} is ${JSON.stringify(text)}, and counts for nothing`, hint: `expected ${expected}` };
}

/** What is expected of a setting's value, null when it is that. `name`: one of ours. */
export function expectedOf(name: string, text: string): string | null {
  return SETTINGS[name]!(text);
}

/** Weft's level for Linkerd's filter, such as `warn,linkerd=info`: the part without a module; null for anything else. */
export function logLevelOf(text: string): LogLevelName | null {
  const level = text
    .split(",")
    .map((part) => part.trim())
    .find((part) => /^[a-z]+$/.test(part));
  if (level === undefined) return null;
  return level === "off" ? "silent" : (LOG_LEVELS.find((one) => one === level) ?? null);
}

/** CPUs, as Kubernetes writes them (`500m`, `0.5`); null for anything else. */
export function cpusOf(text: string): number | null {
  const match = /^([0-9]{1,6}(?:\.[0-9]{1,3})?)(m?)$/.exec(text);
  if (match === null) return null;
  const cpus = Number(match[1]) / (match[2] === "m" ? 1000 : 1);
  return cpus > 0 ? cpus : null;
}

const MEMORY_UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

/** Bytes, as Kubernetes writes them (`64Mi`); null for anything else. */
export function bytesOf(text: string): number | null {
  const match = /^([0-9]{1,12})(k|M|G|Ki|Mi|Gi)?$/.exec(text);
  return match === null || Number(match[1]) === 0 ? null : Number(match[1]) * MEMORY_UNITS[match[2] ?? ""]!;
}

/** A limit that a sidecar would not start with; false for what is no size here. */
export function isTooLittleMemory(text: string): boolean {
  return (bytesOf(text) ?? MEMORY_LIMIT_MIN) < MEMORY_LIMIT_MIN;
}

/** Names and values of a JSON list of `{name, value}`; null for anything else. */
export function additionalEnv(text: string): readonly (readonly [string, string])[] | null {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(list)) return null;
  const variables: [string, string][] = [];
  for (const item of list as unknown[]) {
    if (typeof item !== "object" || item === null) return null;
    const { name, value = "" } = item as Record<string, unknown>;
    if (typeof name !== "string" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || typeof value !== "string") return null;
    variables.push([name, value]);
  }
  return variables;
}

function oneOf(values: readonly string[], text: string): string | null {
  return values.includes(text) ? null : `one of ${values.join(", ")}`;
}

function port(text: string): string | null {
  const list = /^[0-9]+$/.test(text) ? parsePorts(text) : null;
  return list === null || list.length !== 1 ? "a port" : null;
}

function ports(text: string): string | null {
  return parsePorts(text) === null ? "ports and ranges such as 22,8000-8010" : null;
}

function cpu(text: string): string | null {
  return cpusOf(text) === null ? "CPUs such as 0.5 or 500m" : null;
}

function memory(text: string): string | null {
  return bytesOf(text) === null ? "a size such as 64Mi" : null;
}

/** Within the range of the limit that it sets. */
function duration(text: string, limit: "connectTimeoutMs" | "drainGraceMs"): string | null {
  const { min, max } = LIMITS[limit];
  const ms = parseDurationMs(text);
  return ms === null || ms < min || ms > max ? `a duration from ${min}ms to ${max / 1000}s, such as 30s` : null;
}
