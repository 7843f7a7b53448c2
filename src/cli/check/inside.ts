// `weft check --report`, run inside a container by a check outside of it: what the one proxy or identity component there says, as JSON.
//
// Where a proxy's admin port is, is read as the proxy itself read it: from the words of its command, its environment and its files.

import { parseHostPort } from "../../config/address.ts";
import { loadConfig } from "../../config/load.ts";
import type { HostPort } from "../../config/snapshot.ts";
import { readProxyArguments } from "../proxy-arguments.ts";
import { planProxy } from "../proxy-command.ts";
import type { Place } from "./ask.ts";
import { askComponent } from "./ask-component.ts";
import { askProxy } from "./ask-proxy.ts";
import { IDENTITY_ADMIN, PROXY_ADMIN } from "./mesh.ts";
import { type ComponentReport, type DatedReport, type ProxyReport, silentComponent, silentProxy } from "./reports.ts";

export type ReportKind = "proxy" | "identity";

const OFF = "its admin port is off: it cannot be asked";

/** `command`: the container's, such as `proxy --name sidecar`. */
export async function printReport(kind: ReportKind, command: readonly string[]): Promise<void> {
  const report = kind === "proxy" ? await reportOfProxy(command) : await reportOfComponent(command);
  process.stdout.write(`${JSON.stringify({ nowMs: Date.now(), report } satisfies DatedReport)}\n`);
}

async function reportOfProxy([, ...words]: readonly string[]): Promise<ProxyReport> {
  const admin = proxyAdmin(words);
  return admin === null ? silentProxy(OFF) : await askProxy(nearbyOf(admin));
}

/** Null: it has none. The usual one, when its configuration cannot be read from here. */
function proxyAdmin(words: readonly string[]): HostPort | null {
  const plan = planProxy(readProxyArguments(words) ?? {}, process.env);
  if ("problems" in plan) return usual(PROXY_ADMIN);
  if (plan.snapshot !== null && plan.snapshot !== undefined) return plan.snapshot.admin;
  const { configPath = null, configText = null, proxyName = null, overrides = {} } = plan;
  const loaded = loadConfig({ path: configPath, text: configText, proxyName, overrides });
  return "snapshot" in loaded ? loaded.snapshot.admin : usual(PROXY_ADMIN);
}

async function reportOfComponent(words: readonly string[]): Promise<ComponentReport> {
  const at = words.indexOf("--admin");
  const text =
    words.find((word) => word.startsWith("--admin="))?.slice("--admin=".length) ?? (at < 0 ? IDENTITY_ADMIN : (words[at + 1] ?? ""));
  const parsed = parseHostPort(text, "listen");
  return "ok" in parsed ? await askComponent(nearbyOf(parsed.ok)) : silentComponent(OFF);
}

function usual(text: string): HostPort {
  const parsed = parseHostPort(text, "address");
  if (!("ok" in parsed)) throw new Error(text);
  return parsed.ok;
}

/** Where to ask what listens on every address: some of it is told on loopback only. */
function nearbyOf({ host, port }: HostPort): Place {
  if (host === "0.0.0.0") return { host: "127.0.0.1", port };
  return { host: host === "::" ? "::1" : host, port };
}
