// The services that a sidecar is told of: those of the same files that select pods of the same files.
//
// A static file knows a service by its name in the cluster's DNS: one endpoint, the service's virtual address, behind which kube-proxy picks
// a pod per connection. So there is one Weft service for each port. An identity is given only when every workload behind the port is meshed, under one
// service account: a mesh connection goes to that identity and to nobody else. Left out are services without a selector (their
// addresses are somebody else's), ExternalName, and headless ones: whoever dials a pod by its own address means that pod, and goes straight there.

import { identityName, identityProblem } from "../../../core/identity/names.ts";
import { isServiceName } from "../../../core/route/service-names.ts";
import { isRecord } from "./manifests.ts";
import type { Resource } from "./manifests.ts";
import { clusterName } from "./options.ts";
import type { KubernetesInjectOptions } from "./options.ts";
import { expandPorts } from "./settings.ts";
import { readTexts } from "./workloads.ts";
import type { ContainerValue } from "./workloads.ts";

/** A workload of the files, as services see it. */
export interface MeshedWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly account: string;
  readonly containers: readonly ContainerValue[];
  readonly isMeshed: boolean;
  readonly opaquePorts: readonly number[];
  readonly skipInbound: readonly number[];
}

/** A document of kind Service in Weft's own language. */
export interface WeftService {
  readonly apiVersion: "weft.dev/v1alpha1";
  readonly kind: "Service";
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly ports: readonly [{ readonly port: number; readonly protocol?: "opaque" | "http2" | "grpc" }];
    readonly endpoints: readonly [{ readonly dns: string; readonly identity?: string }];
  };
}

export interface MeshServices {
  readonly services: readonly WeftService[];
  /** What is not as one might think, by service: `service "web": ...`. */
  readonly notes: readonly string[];
}

interface PortValue {
  readonly port: number;
  readonly targetPort: number | string;
  readonly appProtocol: string;
}

/** What the services of these files are to a sidecar. Throws a SettingProblem for a Service whose annotation means nothing. */
export function meshServices(
  resources: readonly Resource[],
  workloads: readonly MeshedWorkload[],
  options: KubernetesInjectOptions,
): MeshServices {
  const services: WeftService[] = [];
  const notes: string[] = [];
  const taken = new Set<string>();
  for (const resource of resources) {
    if (resource.kind !== "Service" || resource.apiVersion !== "v1" || resource.name === "") continue;
    const namespace = resource.namespace ?? options.namespace;
    const spec = isRecord(resource.value["spec"]) ? resource.value["spec"] : {};
    const selector = readTexts(spec["selector"]);
    const selected = workloads.filter((workload) => workload.namespace === namespace && isSelected(selector, workload.labels));
    if (selected.length === 0 || spec["type"] === "ExternalName") continue;
    const note = (text: string) => notes.push(`service "${resource.name}": ${text}`);
    if (spec["clusterIP"] === "None") {
      note("it is headless: connections to its pods go straight to them, without mutual TLS");
      continue;
    }
    const ports = tcpPorts(spec["ports"]);
    const opaque = opaquePortsOf(resource);
    for (const port of ports) {
      const name = ports.length === 1 ? resource.name : `${resource.name}-${port.port}`;
      const key = `${namespace}/${name}`;
      if (!isServiceName(name) || !isServiceName(namespace) || taken.has(key)) {
        note(`port ${port.port} is left out: ${key} ${taken.has(key) ? "is a second one" : "is no name for a service of Weft"}`);
        continue;
      }
      taken.add(key);
      const reason = unprovenReason(port, selected, options);
      if (reason !== null && selected.some(({ isMeshed }) => isMeshed))
        note(`connections to port ${port.port} are not mutual TLS: ${reason}`);
      services.push(
        weftService(name, namespace, port, reason === null ? identityOf(selected[0]!, options) : null, {
          host: clusterName(resource.name, namespace, options.clusterDomain),
          isOpaque:
            selected.some(({ opaquePorts }) => [port.port, targetOf(port, selected[0]!)].some((one) => opaquePorts.includes(one))) ||
            opaque.includes(port.port),
        }),
      );
    }
  }
  return { services, notes };
}

function weftService(
  name: string,
  namespace: string,
  { port, appProtocol }: PortValue,
  identity: string | null,
  { host, isOpaque }: { readonly host: string; readonly isOpaque: boolean },
): WeftService {
  const protocol = isOpaque ? "opaque" : protocolOf(appProtocol);
  return {
    apiVersion: "weft.dev/v1alpha1",
    kind: "Service",
    metadata: { name, namespace },
    spec: {
      ports: [{ port, ...(protocol !== null && { protocol }) }],
      endpoints: [{ dns: `${host}:${port}`, ...(identity !== null && { identity }) }],
    },
  };
}

/** What Kubernetes names `appProtocol`; the others are found out by their first bytes. */
function protocolOf(appProtocol: string): "http2" | "grpc" | null {
  if (appProtocol === "kubernetes.io/h2c") return "http2";
  return appProtocol === "grpc" ? "grpc" : null;
}

/** Why connections cannot be mutual TLS; null when they can. */
function unprovenReason(port: PortValue, selected: readonly MeshedWorkload[], options: KubernetesInjectOptions): string | null {
  if (!options.peerIdentities) return "peer identities are off";
  if (!selected.every(({ isMeshed }) => isMeshed)) return "not every workload behind it is meshed";
  const identities = new Set(selected.map((workload) => identityOf(workload, options)));
  if (identities.size > 1) return "the workloads behind it have different service accounts";
  if ([...identities][0] === null) return "its service account's name cannot be an identity";
  const isSkipped = selected.some((workload) => workload.skipInbound.includes(targetOf(port, workload)));
  return isSkipped ? "its workload skips that port" : null;
}

function identityOf({ account, namespace }: MeshedWorkload, { controlNamespace, trustDomain }: KubernetesInjectOptions): string | null {
  const identity = { account, namespace, controlNamespace, trustDomain };
  return identityProblem(identity) === null ? identityName(identity) : null;
}

/** The port within the pod; by its name, too. 0 when the pod has none of that name. */
function targetOf({ targetPort }: PortValue, workload: MeshedWorkload): number {
  if (typeof targetPort === "number") return targetPort;
  for (const container of workload.containers) {
    const ports: unknown = container["ports"];
    if (!Array.isArray(ports)) continue;
    const named = ports.find((port) => isRecord(port) && port["name"] === targetPort);
    if (named !== undefined && typeof named.containerPort === "number") return named.containerPort;
  }
  return 0;
}

function isSelected(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([label, value]) => labels[label] === value);
}

function tcpPorts(value: unknown): PortValue[] {
  const ports: unknown[] = Array.isArray(value) ? value : [];
  return ports.flatMap((port) => {
    if (!isRecord(port) || !Number.isInteger(port["port"]) || (port["protocol"] ?? "TCP") !== "TCP") return [];
    const { targetPort, appProtocol } = port;
    const target = typeof targetPort === "number" || typeof targetPort === "string" ? targetPort : (port["port"] as number);
    return [{ port: port["port"] as number, targetPort: target, appProtocol: typeof appProtocol === "string" ? appProtocol : "" }];
  });
}

function opaquePortsOf(resource: Resource): readonly number[] {
  const metadata = resource.value["metadata"];
  const text = readTexts(isRecord(metadata) ? metadata["annotations"] : {})["config.linkerd.io/opaque-ports"];
  return text === undefined ? [] : expandPorts(text, `service "${resource.name}": config.linkerd.io/opaque-ports`);
}
