// The configuration of a sidecar, as YAML for WEFT_CONFIG: who it is, what is different for its ports, and the services that its service can reach.
//
// There is no control plane to ask yet, so it is all inline. Names have no `$`, and ports that are expressions of compose's (`${PORT:-80}`) are meant for compose
// to fill in, so nothing is escaped.

import { isMap, isSeq } from "yaml";
import { parseDurationMs } from "../../../core/util/duration.ts";
import type { InjectOptions } from "../injection.ts";
import { cpusOf, logLevelOf } from "../linkerd-settings.ts";
import { valueAt } from "../tree.ts";
import { textOf } from "../yaml-source.ts";
import type { ComposeFile } from "./compose-file.ts";
import { ADMIN_PORT, IDENTITY_SERVICE, INBOUND_PORT, OUTBOUND_PORT, type ServicePlan } from "./plan.ts";
import { portsOfLabel } from "./ports.ts";

/** Where compose puts the join token in a sidecar. */
export const TOKEN_SECRET = "weft-token";
export const IDENTITY_PORT = 8080;

/** The whole configuration, ending with a line end. */
export function sidecarConfig(file: ComposeFile, plan: ServicePlan, plans: readonly ServicePlan[], options: InjectOptions): string {
  const documents = [proxyDocument(file, plan, options)];
  const networks = networkNames(plan.service.effective);
  const names = new Set<string>();
  for (const other of plans) {
    if (other === plan || !isReachable(other, networks)) continue;
    for (const [index, port] of other.ports.entries())
      documents.push(serviceDocument(other, port, uniqueName(other, port, index, names), options));
  }
  return documents.join("---\n");
}

/** Names of a service's networks; compose's `default` when it says nothing. */
export function networkNames(service: unknown): readonly string[] {
  const networks = valueAt(service, "networks");
  if (isMap(networks)) return networks.items.map(({ key }) => textOf(key) ?? "");
  return isSeq(networks) ? networks.items.map((item) => textOf(item) ?? "") : ["default"];
}

function proxyDocument(file: ComposeFile, { service, settings, meshName, opaquePorts }: ServicePlan, options: InjectOptions): string {
  const isIpv6 = networkNames(service.effective).some((name) => textOf(valueAt(valueAt(file.networks, name), "enable_ipv6")) === "true");
  const outboundPort = settings.get("outbound-port") ?? OUTBOUND_PORT;
  const inboundPort = settings.get("inbound-port") ?? INBOUND_PORT;
  const outbound =
    isIpv6 || outboundPort !== OUTBOUND_PORT
      ? [`listen: "${isIpv6 ? "[::]" : "127.0.0.1"}:${outboundPort}"`, "transparent: true"]
      : ["transparent: true"];
  const policy = settings.get("default-inbound-policy");
  const accessLog = settings.get("access-log") ?? "";
  const logLevel = logLevelOf(settings.get("proxy-log-level") ?? "");
  const shutdown = settings.get("proxy-admin-shutdown");
  const limits = limitsOf(settings.get("proxy-outbound-connect-timeout"), settings.get("shutdown-grace-period"));
  const ports = portLines(opaquePorts, portsOfLabel(settings.get("proxy-require-identity-inbound-ports") ?? "") ?? []);
  return [
    "apiVersion: weft.dev/v1alpha1",
    "kind: Proxy",
    `metadata: {name: ${meshName}, namespace: ${options.namespace}}`,
    "spec:",
    `  workers: ${Math.max(1, Math.ceil(cpusOf(settings.get("proxy-cpu-limit") ?? "") ?? 1))}`,
    `  outbound: {${outbound.join(", ")}}`,
    "  inbound:",
    ...(isIpv6 || inboundPort !== INBOUND_PORT ? [`    listen: "${isIpv6 ? "[::]" : "0.0.0.0"}:${inboundPort}"`] : []),
    "    transparent: true",
    ...(policy === null ? [] : [`    policy: ${policy}`]),
    ...(ports.length === 0 ? [] : ["    ports:", ...ports]),
    `  identity: {controller: "${IDENTITY_SERVICE}:${IDENTITY_PORT}", token: /run/secrets/${TOKEN_SECRET}}`,
    `  admin: {listen: "0.0.0.0:${settings.get("admin-port") ?? ADMIN_PORT}"${shutdown === null ? "" : `, shutdownEndpoint: ${shutdown === "enabled"}`}}`,
    ...(accessLog === "" ? [] : [`  accessLog: ${accessLog}`]),
    ...(logLevel === null ? [] : [`  logLevel: ${logLevel}`]),
    ...(limits.length === 0 ? [] : [`  limits: {${limits.join(", ")}}`]),
    "",
  ].join("\n");
}

function portLines(opaque: readonly string[], withIdentity: readonly string[]): string[] {
  return [...new Set([...opaque, ...withIdentity])].map((port) => {
    const parts = [`port: ${port}`];
    if (opaque.includes(port)) parts.push("protocol: opaque");
    if (withIdentity.includes(port)) parts.push("policy: all-authenticated");
    return `      - {${parts.join(", ")}}`;
  });
}

function limitsOf(connectTimeout: string | null, gracePeriod: string | null): string[] {
  const limits: string[] = [];
  if (connectTimeout !== null) limits.push(`connectTimeoutMs: ${parseDurationMs(connectTimeout)}`);
  if (gracePeriod !== null) limits.push(`drainGraceMs: ${parseDurationMs(gracePeriod)}`);
  return limits;
}

function serviceDocument(
  { service, identity, skipped, opaquePorts, skippedInboundPorts }: ServicePlan,
  port: string,
  name: string,
  options: InjectOptions,
): string {
  const protocol = opaquePorts.includes(port) ? ", protocol: opaque" : "";
  const isMeshed = skipped === null && !skippedInboundPorts.includes(port);
  return [
    "apiVersion: weft.dev/v1alpha1",
    "kind: Service",
    `metadata: {name: ${name}, namespace: ${options.namespace}}`,
    "spec:",
    `  ports: [{port: ${port}${protocol}}]`,
    "  endpoints:",
    `    - dns: "${service.name.toLowerCase()}:${port}"`,
    ...(isMeshed ? [`      identity: ${identity}`] : []),
    "",
  ].join("\n");
}

/** A service has one document for each port, because a connection keeps the port that it was made to. */
function uniqueName({ meshName }: ServicePlan, port: string, index: number, taken: Set<string>): string {
  const base = index === 0 ? meshName : `${meshName}-${/^[0-9]+$/.test(port) ? port : index}`;
  let name = base;
  for (let count = 2; taken.has(name); count++) name = `${base}-${count}`;
  taken.add(name);
  return name;
}

/** Compose's DNS knows it there, and it has a name that a configuration may have. */
function isReachable({ service, joins, meshName }: ServicePlan, networks: readonly string[]): boolean {
  if (service.name === IDENTITY_SERVICE || joins !== null || !/^[a-z]/.test(meshName)) return false;
  if (valueAt(service.effective, "network_mode") !== null) return false;
  return networkNames(service.effective).some((name) => networks.includes(name));
}
