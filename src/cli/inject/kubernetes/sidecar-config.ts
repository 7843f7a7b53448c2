// The sidecar's own configuration (docs/configuration.md), as it stands in WEFT_CONFIG of its container.
//
// Kubernetes expands `$(NAME)` in a container's variables; nothing here may contain that. The text is bounded, because
// the kernel does not start a process with a longer variable.

import { stringify } from "yaml";
import { DEFAULT_CONTROL_NAMESPACE, DEFAULT_TRUST_DOMAIN } from "../../../core/identity/names.ts";
import { isServiceName } from "../../../core/route/service-names.ts";
import type { WeftService } from "./mesh-services.ts";
import { IDENTITY_PORT, IDENTITY_SERVICE } from "./names.ts";
import { clusterName } from "./options.ts";
import type { KubernetesInjectOptions } from "./options.ts";
import type { PodSettings } from "./settings.ts";

/** Folders within the sidecar. */
export const IDENTITY_FOLDER = "/var/run/weft/identity";
export const STATE_FOLDER = "/var/run/weft/state";
export const TOKEN_FILE = "token";

/** Bytes of one variable that Linux starts a process with (128 KiB, the name and its end included), less some room. */
const CONFIG_BYTES_MAX = 120_000;

export interface SidecarPlace {
  readonly name: string;
  readonly namespace: string;
}

/** The text; services that do not fit any more are left out, and counted. */
export function sidecarConfig(
  place: SidecarPlace,
  settings: PodSettings,
  services: readonly WeftService[],
  options: KubernetesInjectOptions,
): { readonly text: string; readonly leftOut: number } {
  let text = document(proxyDocument(place, settings, options));
  let count = 0;
  for (const service of services) {
    const next = `---\n${document(service)}`;
    if (Buffer.byteLength(text) + Buffer.byteLength(next) > CONFIG_BYTES_MAX) break;
    text += next;
    count++;
  }
  return { text, leftOut: services.length - count };
}

function document(value: object): string {
  return stringify(value, { lineWidth: 0, version: "1.1" });
}

function proxyDocument({ name, namespace }: SidecarPlace, settings: PodSettings, options: KubernetesInjectOptions): object {
  const { controlNamespace, trustDomain, clusterDomain, ipv6 } = options;
  const { ports, policy, accessLog, logLevel, hasShutdown } = settings;
  const limits = limitsOf(settings);
  const everywhere = ipv6 ? "[::]" : "0.0.0.0";
  const isOtherMesh = controlNamespace !== DEFAULT_CONTROL_NAMESPACE || trustDomain !== DEFAULT_TRUST_DOMAIN;
  return {
    apiVersion: "weft.dev/v1alpha1",
    kind: "Proxy",
    // Names of Kubernetes may begin with a digit or have dots; the proxy's own matters to nobody.
    metadata: { name: isServiceName(name) ? name : "sidecar", ...(isServiceName(namespace) && { namespace }) },
    spec: {
      workers: 1,
      // With IPv6 it must be there on both loopback addresses; from outside, the redirect leads to the inbound port.
      outbound: { transparent: true, listen: `${ipv6 ? "[::]" : "127.0.0.1"}:${ports.outbound}` },
      inbound: { transparent: true, listen: `${everywhere}:${ports.inbound}`, policy, ports: inboundPorts(settings) },
      identity: {
        controller: `${clusterName(IDENTITY_SERVICE, controlNamespace, clusterDomain)}:${IDENTITY_PORT}`,
        token: `${IDENTITY_FOLDER}/${TOKEN_FILE}`,
        trust: `${IDENTITY_FOLDER}/roots.pem`,
        ...(isOtherMesh && { mesh: `${controlNamespace}.${trustDomain}` }),
        keep: `${STATE_FOLDER}/identity`,
      },
      admin: { listen: `${everywhere}:${ports.admin}`, shutdownEndpoint: hasShutdown },
      accessLog,
      logLevel,
      ...(Object.keys(limits).length > 0 && { limits }),
    },
  };
}

function limitsOf({ drainGraceMs, connectTimeoutMs }: PodSettings): object {
  return { ...(drainGraceMs !== null && { drainGraceMs }), ...(connectTimeoutMs !== null && { connectTimeoutMs }) };
}

function inboundPorts({ opaquePorts, requireIdentityPorts, ports }: PodSettings): object[] {
  const own = Object.values(ports);
  const all = [...new Set([...opaquePorts, ...requireIdentityPorts])].filter((port) => !own.includes(port));
  return all
    .toSorted((left, right) => left - right)
    .map((port) => ({
      port,
      ...(opaquePorts.includes(port) && { protocol: "opaque" }),
      ...(requireIdentityPorts.includes(port) && { policy: "all-authenticated" }),
    }));
}
