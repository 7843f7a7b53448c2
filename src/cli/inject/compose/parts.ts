// The services beside a meshed one: `-net` holds the network namespace, `-init` redirects its connections, `-proxy` is the sidecar. And what becomes of the
// service itself, which gives its networks, ports and names to the holder.
//
// The holder writes the same redirect rules when it starts: an engine that is started again starts containers by their `restart`, and asks no `-init`. A
// job's does not: nothing of a job is started again by the engine.

import { isMap, isSeq, Pair } from "yaml";
import type { YAMLMap } from "yaml";
import type { InjectOptions } from "../injection.ts";
import { additionalEnv, bytesOf, cpusOf } from "../linkerd-settings.ts";
import { listOf, literal, mapOf, plain, quoted, type Tree, valueAt, withKey, withoutKeys } from "../tree.ts";
import { textOf } from "../yaml-source.ts";
import { parseDurationMs } from "../../../core/util/duration.ts";
import {
  ADMIN_PORT,
  IDENTITY_SERVICE,
  INBOUND_PORT,
  MESH_NETWORK,
  OUTBOUND_PORT,
  partsOf,
  PROXY_UID,
  secretOf,
  type ServicePlan,
} from "./plan.ts";
import { PART_LABEL, SERVICE_LABEL } from "./settings.ts";
import { TOKEN_SECRET } from "./sidecar-config.ts";

/** What belongs to the namespace, and so to its holder. */
const MOVED = ["ports", "expose", "dns", "dns_search", "dns_opt", "extra_hosts", "hostname", "domainname", "mac_address", "external_links"];

/** For the rules, and to become the proxy's user, which has none of them. */
const HOLDER_CAPABILITIES = ["NET_ADMIN", "NET_RAW", "SETUID", "SETGID"];

/** Longer than a proxy drains, or compose would cut it: seconds. */
const STOP_MARGIN_S = 10;
/** Linkerd's grace period and Weft's: milliseconds. */
const GRACE_DEFAULT_MS = 120_000;

/** The service as it is behind its sidecar; `from` is what it was. */
export function meshedService(from: YAMLMap, plan: ServicePlan): YAMLMap {
  const parts = partsOf(plan.service.name);
  const sysctls = splitSysctls(from);
  let service = withoutKeys(from, [...MOVED, "networks", "links", "depends_on", "network_mode", ...(sysctls === null ? [] : ["sysctls"])]);
  if (sysctls?.kept !== null && sysctls?.kept !== undefined) service = withKey(service, "sysctls", sysctls.kept);
  service = withKey(service, "network_mode", quoted(`service:${parts.net}`));
  if (plan.isJob) service = withKey(service, "pid", quoted(`service:${parts.net}`));
  const isAwaited = plan.settings.get("proxy-await") !== "disabled";
  const own = condition(isAwaited ? "service_healthy" : "service_started");
  let dependsOn = withKey(dependenciesOf(from), parts.proxy, own);
  for (const { target } of linksOf(from))
    if (valueAt(dependsOn, target) === null) dependsOn = withKey(dependsOn, target, condition("service_started"));
  return withKey(service, "depends_on", dependsOn);
}

/** The three parts, by name. */
export function partServices(
  plan: ServicePlan,
  plans: readonly ServicePlan[],
  config: string,
  options: InjectOptions,
): Readonly<Record<string, YAMLMap>> {
  const parts = partsOf(plan.service.name);
  return {
    [parts.net]: holder(plan, plans, options),
    [parts.init]: initService(plan, options),
    [parts.proxy]: proxyService(plan, config, options),
  };
}

function holder(plan: ServicePlan, plans: readonly ServicePlan[], options: InjectOptions): YAMLMap {
  const { service, settings } = plan;
  const { effective, name } = service;
  const links = linksOf(effective).map(({ target, alias }) => quoted(`${holderOf(target, plans) ?? target}:${alias}`));
  const moved = withoutKeys(effective, []);
  moved.items = moved.items.filter((item) => MOVED.includes(textOf(item.key) ?? ""));
  const base = mapOf({
    image: quoted(imageOf(settings, options)),
    pull_policy: pullPolicy(settings),
    ...(plan.isJob
      ? { command: listOf(["hold", "--job"].map(quoted)), restart: quoted("no") }
      : { command: listOf([...initCommand(settings), "--hold"].map(quoted)), user: plain("root"), restart: restartOf(effective) }),
    read_only: plain(true),
    cap_drop: listOf([plain("ALL")]),
    cap_add: plan.isJob ? null : listOf(HOLDER_CAPABILITIES.map(plain)),
    security_opt: plan.isJob ? null : listOf([quoted("no-new-privileges:true")]),
    healthcheck: mapOf({ disable: plain(true) }, true),
    labels: labels("net", name),
    profiles: valueAt(effective, "profiles"),
    networks: networksOf(plan),
    links: links.length === 0 ? null : listOf(links),
    sysctls: splitSysctls(effective)?.moved ?? null,
  });
  base.items.push(...moved.items);
  return base;
}

/** Holder and init container write the same rules. */
function initCommand(settings: ServicePlan["settings"]): string[] {
  const args = ["init"];
  const add = (option: string, value: string | null, byDefault: string | null): void => {
    if (value !== null && value !== byDefault) args.push(option, value);
  };
  add("--incoming-proxy-port", settings.get("inbound-port"), INBOUND_PORT);
  add("--outgoing-proxy-port", settings.get("outbound-port"), OUTBOUND_PORT);
  add("--proxy-uid", settings.get("proxy-uid"), PROXY_UID);
  add("--inbound-ports-to-ignore", settings.get("skip-inbound-ports"), null);
  add("--outbound-ports-to-ignore", settings.get("skip-outbound-ports"), null);
  add("--subnets-to-ignore", settings.get("skip-subnets"), null);
  return args;
}

/**
 * Ends when the rules are there, for which the sidecar waits. Its `network_mode` makes it wait for its holder. With a `depends_on` for that beside it,
 * the restart of a project by Docker Compose v2 would not keep the order, and fail where the namespace is just gone.
 */
function initService({ service, settings }: ServicePlan, options: InjectOptions): YAMLMap {
  const parts = partsOf(service.name);
  return mapOf({
    image: quoted(imageOf(settings, options)),
    pull_policy: pullPolicy(settings),
    command: listOf(initCommand(settings).map(quoted)),
    user: plain("root"),
    network_mode: quoted(`service:${parts.net}`),
    restart: quoted("no"),
    cap_drop: listOf([plain("ALL")]),
    cap_add: listOf([plain("NET_ADMIN"), plain("NET_RAW")]),
    healthcheck: mapOf({ disable: plain(true) }, true),
    labels: labels("init", service.name),
    profiles: valueAt(service.effective, "profiles"),
  });
}

function proxyService(plan: ServicePlan, config: string, options: InjectOptions): YAMLMap {
  const { service, settings } = plan;
  const parts = partsOf(service.name);
  const gid = settings.get("proxy-gid");
  const uid = settings.get("proxy-uid") ?? PROXY_UID;
  const environment: Record<string, Tree> = { WEFT_CONFIG: literal(config) };
  // Compose fills in variables and undoubles `$$` here as it does in the label itself.
  for (const [name, value] of additionalEnv(settings.get("proxy-additional-env") ?? "[]") ?? [])
    if (!Object.hasOwn(environment, name)) environment[name] = quoted(value);
  const graceMs = parseDurationMs(settings.get("shutdown-grace-period") ?? "") ?? GRACE_DEFAULT_MS;
  return mapOf({
    image: quoted(imageOf(settings, options)),
    pull_policy: pullPolicy(settings),
    command: listOf((plan.isJob ? ["proxy", "--job"] : ["proxy"]).map(quoted)),
    user: quoted(gid === null ? (uid === PROXY_UID ? `${uid}:${uid}` : uid) : `${uid}:${gid}`),
    group_add: options.tokenGroup === null ? null : listOf([quoted(String(options.tokenGroup))]),
    network_mode: quoted(`service:${parts.net}`),
    pid: plan.isJob ? quoted(`service:${parts.net}`) : null,
    // Always would start it again after its end.
    restart: plan.isJob ? plain("on-failure") : restartOf(service.effective),
    stop_grace_period: plain(`${Math.ceil(graceMs / 1000) + STOP_MARGIN_S}s`),
    read_only: plain(true),
    cap_drop: listOf([plain("ALL")]),
    ...resourcesOf(settings),
    healthcheck: readiness(Number(settings.get("admin-port") ?? ADMIN_PORT)),
    labels: labels("proxy", service.name),
    profiles: valueAt(service.effective, "profiles"),
    depends_on: mapOf({
      [parts.init]: condition("service_completed_successfully"),
      [IDENTITY_SERVICE]: condition("service_healthy"),
    }),
    secrets: listOf([mapOf({ source: plain(secretOf(plan)), target: plain(TOKEN_SECRET) }, true)], false),
    environment: mapOf(environment),
  });
}

/** Asks /ready at a port of this container, without starting a Node for it. */
export function readiness(port: number): YAMLMap {
  const ask = `exec 3<>/dev/tcp/127.0.0.1/${port} && printf 'GET /ready HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3`;
  const script = `${ask} && read -r _ status _ <&3 && [[ $$status == 200 ]]`;
  return mapOf({
    test: listOf(["CMD", "bash", "-c", script].map(quoted)),
    interval: plain("2s"),
    timeout: plain("2s"),
    retries: plain(30),
  });
}

/** Labels by which `weft uninject` and `weft check` know what Weft made. */
export function labels(part: "net" | "init" | "proxy" | "identity", service: string | null): YAMLMap {
  return mapOf({ [PART_LABEL]: plain(part), [SERVICE_LABEL]: service === null ? null : quoted(service) });
}

function imageOf(settings: ServicePlan["settings"], { image }: InjectOptions): string {
  const own = settings.get("proxy-image") ?? image;
  const version = settings.get("proxy-version");
  return version === null ? own : `${own.replace(/:[\w][\w.-]*$/, "")}:${version}`;
}

function pullPolicy(settings: ServicePlan["settings"]): Tree | null {
  const policy = settings.get("image-pull-policy");
  return policy === null ? null : plain({ Always: "always", IfNotPresent: "missing", Never: "never" }[policy] ?? "missing");
}

/** As the application's, where that restarts at all: a holder or a proxy that is gone keeps a service that is there from working. */
function restartOf(service: unknown): Tree {
  const restart = valueAt(service, "restart");
  const text = textOf(restart) ?? "no";
  return restart !== null && /^(?:always|unless-stopped|\$.*)$/.test(text) ? restart : plain("unless-stopped");
}

function resourcesOf(settings: ServicePlan["settings"]): Record<string, Tree | null> {
  const cpuLimit = cpusOf(settings.get("proxy-cpu-limit") ?? "");
  const cpuRequest = cpusOf(settings.get("proxy-cpu-request") ?? "");
  const bytes = (name: string): Tree | null => {
    const size = bytesOf(settings.get(name) ?? "");
    return size === null ? null : plain(`${size}b`);
  };
  return {
    cpus: cpuLimit === null ? null : plain(cpuLimit),
    // As Kubernetes tells the kernel: 1024 shares are one CPU, two is the least there is.
    cpu_shares: cpuRequest === null ? null : plain(Math.max(2, Math.round(cpuRequest * 1024))),
    mem_limit: bytes("proxy-memory-limit"),
    mem_reservation: bytes("proxy-memory-request"),
  };
}

/** The service's networks, where it keeps its names, and the mesh's. */
function networksOf({ service }: ServicePlan): YAMLMap {
  const written = valueAt(service.effective, "networks");
  let networks = isMap(written) ? written : mapOf(Object.fromEntries(namesIn(written).map((name) => [name, plain("null")])));
  const own = [service.name, textOf(valueAt(service.effective, "container_name"))].filter((name) => name !== null);
  const items = networks.items.map(({ key, value }) => {
    const settings = isMap(value) ? value : mapOf({});
    const aliases = valueAt(settings, "aliases");
    const names = [...new Set([...own, ...(isSeq(aliases) ? aliases.items.map((item) => textOf(item) ?? "") : [])])];
    const named = withKey(settings, "aliases", listOf(names.map(quoted)));
    named.flow = false;
    return new Pair(key, named);
  });
  networks = withoutKeys(networks, []);
  networks.items = items;
  networks = withKey(networks, MESH_NETWORK, plain("null"));
  networks.flow = false;
  return networks;
}

function namesIn(networks: unknown): string[] {
  return isSeq(networks) ? networks.items.map((item) => textOf(item) ?? "") : ["default"];
}

/** `depends_on` in its long form. */
function dependenciesOf(service: unknown): YAMLMap {
  const written = valueAt(service, "depends_on");
  if (isSeq(written)) return mapOf(Object.fromEntries(written.items.map((item) => [textOf(item) ?? "", condition("service_started")])));
  const dependencies = mapOf({});
  if (isMap(written))
    dependencies.items = written.items.map(({ key, value }) => new Pair(key, isMap(value) ? value : condition("service_started")));
  return dependencies;
}

function condition(name: string): YAMLMap {
  return mapOf({ condition: plain(name) });
}

/** `links`, each `SERVICE:ALIAS` or `SERVICE`. */
function linksOf(service: unknown): { readonly target: string; readonly alias: string }[] {
  const links = valueAt(service, "links");
  if (!isSeq(links)) return [];
  return links.items.map((item) => {
    const [target = "", alias = target] = (textOf(item) ?? "").split(":");
    return { target, alias };
  });
}

function holderOf(name: string, plans: readonly ServicePlan[]): string | null {
  return plans.some((plan) => plan.service.name === name && plan.skipped === null) ? partsOf(name).net : null;
}

/** `sysctls` of the network belong to the namespace; null when there are none of them. */
function splitSysctls(service: unknown): { readonly moved: Tree; readonly kept: Tree | null } | null {
  const sysctls = valueAt(service, "sysctls");
  const isOfNetwork = (text: string | null): boolean => text?.startsWith("net.") === true;
  if (isSeq(sysctls)) {
    const items = sysctls.items as Tree[];
    const moved = items.filter((item) => isOfNetwork(textOf(item)));
    const kept = items.filter((item) => !isOfNetwork(textOf(item)));
    return moved.length === 0 ? null : { moved: listOf(moved, false), kept: kept.length === 0 ? null : listOf(kept, false) };
  }
  if (!isMap(sysctls)) return null;
  const names = sysctls.items.map(({ key }) => textOf(key) ?? "");
  const others = names.filter((name) => !isOfNetwork(name));
  if (others.length === names.length) return null;
  const moved = withoutKeys(sysctls, others);
  return { moved, kept: others.length === 0 ? null : withoutKeys(sysctls, names.filter(isOfNetwork)) };
}
