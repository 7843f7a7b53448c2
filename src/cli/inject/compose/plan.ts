// What is to be done with each service of a compose file, and why not: nothing is written before all of them are decided.
//
// A service that cannot be meshed is skipped by name, the others go on. What would make a broken project (a name that is taken) is an error, and
// then there is no output.

import { isMap } from "yaml";
import type { Problem } from "../../../config/problem.ts";
import { identityName, identityProblem } from "../../../core/identity/names.ts";
import type { InjectOptions } from "../injection.ts";
import { OPAQUE_PORTS } from "../linkerd-settings.ts";
import { valueAt } from "../tree.ts";
import { pairOf, textOf } from "../yaml-source.ts";
import type { ComposeFile, ComposeService } from "./compose-file.ts";
import { numberOf, portsOf, portsOfLabel } from "./ports.ts";
import { JOB_LABEL, labelOf, PART_LABEL, readSettings, type ServiceSettings } from "./settings.ts";

/** The identity component's service, and the network on which sidecars reach it. */
export const IDENTITY_SERVICE = "weft-identity";
export const MESH_NETWORK = "weft-mesh";

/** The proxies' own user, and the ports of a sidecar, as Linkerd has them. */
export const PROXY_UID = "2102";
export const OUTBOUND_PORT = "4140";
export const INBOUND_PORT = "4143";
export const ADMIN_PORT = "4191";
/** Linkerd's control port: `weft init` lets it pass, so nothing else can be there. */
const CONTROL_PORT = "4190";

/** Of `user`; of an expression, the one that it has when nothing is set. */
const USER_NUMBER = /^(?:\$\{[A-Za-z_][A-Za-z0-9_]*:?-)?0*([0-9]+)\}?(?::|$)/;

const SKIPPED_PORTS_DEFAULT = "4567,4568";

export interface ServicePlan {
  readonly service: ComposeService;
  readonly settings: ServiceSettings;
  /** Why it gets no sidecar; null when it gets one. */
  readonly skipped: string | null;
  /** True when it is skipped on purpose, so that nothing is wrong. */
  readonly isWanted: boolean;
  /** The service whose namespace it shares (`network_mode: service:NAME`). */
  readonly joins: string | null;
  /** Its name in identities, tokens and configurations. */
  readonly meshName: string;
  readonly identity: string;
  /** Ports that others may call it at. */
  readonly ports: readonly string[];
  readonly opaquePorts: readonly string[];
  readonly skippedInboundPorts: readonly string[];
  /** It ends by itself, and its sidecar then ends with it (docs/jobs.md). */
  readonly isJob: boolean;
}

/** Names of the three services beside a service. */
export function partsOf(name: string): { readonly net: string; readonly init: string; readonly proxy: string } {
  return { net: `${name}-net`, init: `${name}-init`, proxy: `${name}-proxy` };
}

/** Name of the compose secret with the service's token. */
export function secretOf({ meshName }: Pick<ServicePlan, "meshName">): string {
  return `weft-token-${meshName}`;
}

/** The plan of every service; adds warnings and errors to `problems`. */
export function planServices(file: ComposeFile, options: InjectOptions, problems: Problem[]): ServicePlan[] {
  const plans = file.services.map((service) => planService(file, service, options, problems));
  const meshed = plans.filter(({ skipped }) => skipped === null);
  for (const plan of meshed) checkNames(file, plan, plans, problems);
  checkSecrets(file, meshed, problems);
  if (plans.some(({ skipped }) => skipped === null)) checkOwnNames(file, problems);
  return plans;
}

function planService(file: ComposeFile, service: ComposeService, options: InjectOptions, problems: Problem[]): ServicePlan {
  const settings = readSettings(service, file.yaml, options, problems);
  const meshName = meshNameOf(service.name);
  const workload = { account: meshName, namespace: options.namespace, controlNamespace: "weft", trustDomain: options.trustDomain };
  const found = portsOf(service.effective);
  const skippedInboundPorts = portsOfLabel(settings.get("skip-inbound-ports") ?? SKIPPED_PORTS_DEFAULT) ?? [];
  const opaqueLabel = settings.get("opaque-ports");
  const ownOpaque = opaqueLabel === null ? null : (portsOfLabel(opaqueLabel) ?? []);
  const inboundLabel = portsOfLabel(settings.get("pod-inbound-ports") ?? "") ?? [];
  const ports = [...new Set([...found.ports, ...inboundLabel, ...(ownOpaque ?? [])])];
  const opaqueNumbers = ownOpaque ?? OPAQUE_PORTS;
  const isOpaque = (port: string): boolean => opaqueNumbers.includes(String(numberOf(port) ?? port));
  // Where nobody says on which ports it listens, those of Linkerd's list count if it does.
  const opaquePorts = ports.length === 0 ? opaqueNumbers : ports.filter(isOpaque);
  const joins = joinedService(service, file);
  const isDisabled = settings.isDisabled;
  const skipped = isDisabled ? "disabled by linkerd.io/inject" : reasonToSkip(service, settings, ports, identityProblem(workload), joins);
  if (skipped === null) {
    const warn = (message: string, hint: string | null): void => {
      problems.push(file.yaml.problemAt(service.pair.key, "warning", `service "${service.name}": ${message}`, hint));
    };
    for (const text of found.unread) warn(`the port ${JSON.stringify(text)} is none that Weft can read`, "calls to it go without the mesh");
    if (found.hasOther) warn("ports that are not TCP are left alone", null);
  }
  const isJob = skipped === null && isJobOf(file, service, problems);
  const isWanted = isDisabled || joins !== null || labelOf(service.effective, PART_LABEL) !== null;
  const identity = identityName(workload);
  return { service, settings, skipped, isWanted, joins, meshName, identity, ports, opaquePorts, skippedInboundPorts, isJob };
}

/** Somebody waits for its end, or its label says so. A job that the engine starts again would find its sidecar gone. */
function isJobOf(file: ComposeFile, { name, effective, pair }: ComposeService, problems: Problem[]): boolean {
  const label = labelOf(effective, JOB_LABEL);
  const isAwaited = (other: ComposeService): boolean =>
    textOf(valueAt(valueAt(valueAt(other.effective, "depends_on"), name), "condition")) === "service_completed_successfully";
  if (label === "false" || !(label === "true" || file.services.some(isAwaited))) return false;
  const restart = textOf(valueAt(effective, "restart")) ?? "no";
  const reason = restart !== "no" ? `restart: ${restart}` : valueAt(effective, "pid") !== null ? "a pid of its own" : null;
  if (reason === null) return true;
  const message = `service "${name}": it ends by itself but has ${reason}, so its sidecar does not end with it`;
  problems.push(file.yaml.problemAt(pair.key, "warning", message, "see docs/jobs.md"));
  return false;
}

/** Lower case, with `-` for what no DNS label may have. */
function meshNameOf(name: string): string {
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, "-")
    .replace(/^-+|-+$/g, "");
  return /^[0-9]/.test(label) ? `s-${label}` : label;
}

function joinedService({ effective }: ComposeService, file: ComposeFile): string | null {
  const name = /^service:(.+)$/.exec(textOf(valueAt(effective, "network_mode")) ?? "")?.[1];
  return name !== undefined && file.services.some((service) => service.name === name) ? name : null;
}

function reasonToSkip(
  { effective }: ComposeService,
  settings: ServiceSettings,
  ports: readonly string[],
  nameProblem: string | null,
  joins: string | null,
): string | null {
  const part = labelOf(effective, PART_LABEL);
  if (part !== null) return "it is a part of Weft";
  const mode = textOf(valueAt(effective, "network_mode"));
  if (joins !== null) return `network_mode: ${mode}: its connections go through the sidecar of ${joins}, if that has one`;
  if (mode !== null) return `network_mode: ${mode}: ${hintForMode(mode)}`;
  const replicas = replicasOf(effective);
  if (replicas !== null) {
    return `${replicas}: replicas cannot share one network namespace; write them as services of their own with one network alias, or set linkerd.io/inject: disabled`;
  }
  const taken = takenPort(settings, ports);
  if (taken !== null) return taken;
  const uid = settings.get("proxy-uid") ?? PROXY_UID;
  const user = textOf(valueAt(effective, "user"));
  if (user !== null && USER_NUMBER.exec(user)?.[1] === uid)
    return `it runs as user ${uid}, the proxy's own: give it another user, or set config.linkerd.io/proxy-uid`;
  return nameProblem;
}

function hintForMode(mode: string): string {
  if (mode === "host") return "the rules of a sidecar would be the host's; remove it, or run weft proxy on the host";
  if (mode === "none") return "it has no network";
  if (mode.startsWith("container:") || mode.startsWith("service:")) return "the network namespace is another's, which is not of this file";
  return "sidecars need networks of compose; remove it, or name networks";
}

/** How more than one of it is asked for; null when it is one. */
function replicasOf(service: unknown): string | null {
  for (const [what, value] of [
    ["deploy.replicas", valueAt(valueAt(service, "deploy"), "replicas")],
    ["scale", valueAt(service, "scale")],
  ] as const) {
    const text = textOf(value);
    if (text === null) continue;
    const count = numberOf(text);
    if (count === null || count > 1) return `${what} is ${text}`;
  }
  return null;
}

function takenPort(settings: ServiceSettings, ports: readonly string[]): string | null {
  const own: readonly (readonly [string, string])[] = [
    [settings.get("outbound-port") ?? OUTBOUND_PORT, "outbound-port"],
    [settings.get("inbound-port") ?? INBOUND_PORT, "inbound-port"],
    [CONTROL_PORT, ""],
    [settings.get("admin-port") ?? ADMIN_PORT, "admin-port"],
  ];
  for (const [port, setting] of own) {
    if (!ports.some((other) => String(numberOf(other)) === port)) continue;
    const way = setting === "" ? "let it listen elsewhere" : `let it listen elsewhere, or set config.linkerd.io/${setting}`;
    return `it listens on port ${port}, which its sidecar needs: ${way}`;
  }
  const numbers = own.map(([port]) => port);
  return new Set(numbers).size < numbers.length ? `its sidecar's ports are not four different ones: ${numbers.join(", ")}` : null;
}

function checkNames(file: ComposeFile, { service, meshName }: ServicePlan, plans: readonly ServicePlan[], problems: Problem[]): void {
  for (const name of Object.values(partsOf(service.name))) {
    const other = file.services.find((candidate) => candidate.name === name);
    if (other === undefined) continue;
    const message = `the service ${name} is in the way: ${service.name} gets a sidecar of that name`;
    problems.push(
      file.yaml.problemAt(other.pair.key, "error", message, `rename it, or set linkerd.io/inject: disabled on ${service.name}`),
    );
  }
  const same = plans.find((plan) => plan.meshName === meshName);
  if (same === undefined || same.service === service) return;
  const message = `the services ${same.service.name} and ${service.name} are both ${meshName} in identities`;
  problems.push(file.yaml.problemAt(service.pair.key, "error", message, "rename one of them"));
}

function checkSecrets({ yaml, root, expander }: ComposeFile, meshed: readonly ServicePlan[], problems: Problem[]): void {
  const pair = pairOf(root, "secrets");
  const secrets = pair === null ? null : expander.expand(pair.value);
  for (const plan of meshed) {
    const name = secretOf(plan);
    if (!isMap(secrets) || !secrets.has(name)) continue;
    const message = `the secret ${name} is in the way: ${plan.service.name} gets its token by that name`;
    problems.push(yaml.problemAt(pair, "error", message, "rename it"));
  }
}

function checkOwnNames({ yaml, networks, services }: ComposeFile, problems: Problem[]): void {
  const identity = services.find(({ name }) => name === IDENTITY_SERVICE);
  if (identity !== undefined) {
    // What `weft install` printed stands in the same file: then the network does as well.
    if (labelOf(identity.effective, PART_LABEL) === "identity") return;
    const message = `the service ${IDENTITY_SERVICE} is in the way: that is Weft's own`;
    problems.push(yaml.problemAt(identity.pair.key, "error", message, "rename it"));
  }
  const network = isMap(networks) ? networks.items.find(({ key }) => textOf(key) === MESH_NETWORK) : undefined;
  if (network !== undefined)
    problems.push(yaml.problemAt(network.key, "error", `the network ${MESH_NETWORK} is in the way: that is Weft's own`, "rename it"));
}
