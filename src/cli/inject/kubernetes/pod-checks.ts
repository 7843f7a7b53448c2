// Why a pod gets no sidecar, and what its owner should know when it gets one.

import { identityProblem } from "../../../core/identity/names.ts";
import { needsIdentity } from "../../../core/policy/default-policy.ts";
import { isRecord } from "./manifests.ts";
import { FOREIGN_SIDECARS, OUR_CONTAINERS, OUR_VOLUMES, PROXY_CONTAINER } from "./names.ts";
import type { KubernetesInjectOptions } from "./options.ts";
import { expandPorts } from "./settings.ts";
import type { PodSettings } from "./settings.ts";
import type { ContainerValue, PodValue, Workload } from "./workloads.ts";

const PROBES = ["startupProbe", "livenessProbe", "readinessProbe"] as const;

/** The service account as whom a pod runs. */
export function accountOf({ spec }: PodValue): string {
  const { serviceAccountName, serviceAccount } = spec;
  if (typeof serviceAccountName === "string" && serviceAccountName !== "") return serviceAccountName;
  return typeof serviceAccount === "string" && serviceAccount !== "" ? serviceAccount : "default";
}

/** True when the pod has Weft's sidecar. */
export function hasSidecar({ containers, initContainers }: PodValue): boolean {
  return [...containers, ...initContainers].some(({ name }) => name === PROXY_CONTAINER);
}

/** Why this pod gets no sidecar, as `deployment "web" skipped: ...` goes on; null when it gets one. */
export function skipReason(pod: PodValue, namespace: string, settings: PodSettings, options: KubernetesInjectOptions): string | null {
  const all = [...pod.containers, ...pod.initContainers];
  if (hasSidecar(pod)) return "it has a sidecar already";
  if (!settings.isEnabled) return "linkerd.io/inject is disabled";
  if (pod.spec["hostNetwork"] === true) return "it uses the host's network, in which nothing may be redirected";
  const foreign = all.find(({ name }) => FOREIGN_SIDECARS.includes(name));
  if (foreign !== undefined) return `it has another mesh's sidecar, ${foreign.name}`;
  if (isWindows(pod)) return "it runs on Windows";
  const taken = all.find(({ name }) => OUR_CONTAINERS.includes(name))?.name ?? volumesOf(pod).find((name) => OUR_VOLUMES.includes(name));
  if (taken !== undefined) return `it has a container or volume named ${taken}, which must be free`;
  const account = accountOf(pod);
  const { controlNamespace, trustDomain } = options;
  const problem = identityProblem({ account, namespace, controlNamespace, trustDomain });
  if (problem !== null) return `it cannot have an identity: ${problem}`;
  for (const { container, port } of portsOf(pod)) {
    const own = Object.entries(settings.ports).find(([, number]) => number === port);
    if (own !== undefined)
      return `container ${container} uses port ${port}, the sidecar's ${own[0]} port; move it with config.linkerd.io/${own[0]}-port`;
  }
  return null;
}

/** What should be known about a pod with its sidecar. */
export function warningsOf({ pod, resource }: Workload, settings: PodSettings): string[] {
  const warnings: string[] = [];
  const all = [...pod.containers, ...pod.initContainers];
  const others = portsOf(pod).filter(({ protocol }) => protocol !== "TCP");
  for (const { container, port, protocol } of others)
    warnings.push(`container ${container} uses ${protocol} port ${port}, which is not meshed`);
  if (pod.spec["automountServiceAccountToken"] === false) {
    warnings.push("automountServiceAccountToken is false: the sidecar still gets a token, one that only the identity component takes");
  }
  for (const { name, securityContext } of all) {
    const user = userOf(securityContext) ?? userOf(pod.spec["securityContext"]);
    if (user === settings.uid)
      warnings.push(`container ${name} runs as user ${user}, as the sidecar does: its outbound connections are not meshed`);
  }
  if (!settings.isNative) {
    if (pod.initContainers.length > 0) {
      const names = pod.initContainers.map(({ name }) => name).join(", ");
      warnings.push(`init containers run before the sidecar: outbound connections of ${names} fail, unless their ports are skipped`);
    }
    if (resource.kind === "Job" || resource.kind === "CronJob") {
      warnings.push("its sidecar does not end by itself: the job must POST /shutdown to its admin port, or use a native sidecar");
    }
  }
  const grace = pod.spec["terminationGracePeriodSeconds"];
  if (settings.waitBeforeExitS > 0 && settings.waitBeforeExitS >= (typeof grace === "number" ? grace : 30)) {
    warnings.push(`the sidecar waits ${settings.waitBeforeExitS} s before it ends, and the pod's grace period is not longer`);
  }
  return [...warnings, ...probeWarnings(pod, settings)];
}

/** Kubelet's probes come through the inbound listener like everybody's connections. */
function probeWarnings(pod: PodValue, settings: PodSettings): string[] {
  const warnings: string[] = [];
  const skipped = expandPorts(settings.skipInbound, "skip-inbound-ports");
  for (const container of [...pod.containers, ...pod.initContainers]) {
    for (const kind of PROBES) {
      const probe = container[kind];
      if (!isRecord(probe)) continue;
      const how = (["httpGet", "tcpSocket", "grpc"] as const).find((key) => isRecord(probe[key]));
      if (how === undefined) continue;
      const port = portNumber(container, (probe[how] as Record<string, unknown>)["port"]);
      if (port !== null && skipped.includes(port)) continue;
      const where = `${kind} of container ${container.name}`;
      if (how === "tcpSocket")
        warnings.push(`${where}: a TCP connection is answered by the sidecar, also when the application is not there; use httpGet`);
      const policy = port !== null && settings.requireIdentityPorts.includes(port) ? "all-authenticated" : settings.policy;
      if (how !== "tcpSocket" && (needsIdentity(policy) || policy === "deny")) {
        warnings.push(`${where}: policy ${policy} refuses kubelet, which has no identity; give the probe a port of its own and skip that`);
      }
    }
  }
  return warnings;
}

function portNumber({ ports }: ContainerValue, port: unknown): number | null {
  if (typeof port === "number") return port;
  const named = Array.isArray(ports) ? ports.find((one) => isRecord(one) && one["name"] === port) : undefined;
  return isRecord(named) && typeof named["containerPort"] === "number" ? named["containerPort"] : null;
}

interface PortOfPod {
  readonly container: string;
  readonly port: number;
  readonly protocol: string;
}

function portsOf({ containers, initContainers }: PodValue): PortOfPod[] {
  return [...containers, ...initContainers].flatMap(({ name, ports }) =>
    (Array.isArray(ports) ? ports : []).flatMap((port: unknown) =>
      isRecord(port) && typeof port["containerPort"] === "number"
        ? [{ container: name, port: port["containerPort"], protocol: typeof port["protocol"] === "string" ? port["protocol"] : "TCP" }]
        : [],
    ),
  );
}

function volumesOf({ spec }: PodValue): readonly string[] {
  const { volumes } = spec;
  return Array.isArray(volumes)
    ? volumes.flatMap((volume) => (isRecord(volume) && typeof volume["name"] === "string" ? [volume["name"]] : []))
    : [];
}

function isWindows({ spec }: PodValue): boolean {
  const { os, nodeSelector } = spec;
  return (isRecord(os) && os["name"] === "windows") || (isRecord(nodeSelector) && nodeSelector["kubernetes.io/os"] === "windows");
}

function userOf(securityContext: unknown): number | null {
  return isRecord(securityContext) && typeof securityContext["runAsUser"] === "number" ? securityContext["runAsUser"] : null;
}
