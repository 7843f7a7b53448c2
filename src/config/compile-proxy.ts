// A Proxy document of the right shape, with the services around it, to the proxy's snapshot.
//
// Everything that needs more than one value at a time is checked here: names of services, listeners that collide, endpoints
// that lead back to the proxy, limits that contradict each other.

import { isWildcard } from "../core/route/ip-literal.ts";
import { formatHostPort } from "./address.ts";
import { compileIdentity } from "./compile-identity.ts";
import { compileInbound, compileOutbound } from "./compile-listeners.ts";
import type { CompiledListener } from "./compile-listeners.ts";
import type { CompiledService } from "./compile-service.ts";
import { ADMIN_LISTEN, defaultAddress, LOG_LEVEL, NAMESPACE } from "./defaults.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { LimitName, Limits } from "./limits.ts";
import { collide, reaches } from "./listener-conflicts.ts";
import { formatPath } from "./problem.ts";
import type { Path } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import { valueAt } from "./shape-problems.ts";
import type { HostPort, ProxySnapshot } from "./snapshot.ts";

/** Compiles a proxy; mistakes go to `context.problems`, and the result counts only when there is no error among them. */
export function compileProxy(context: ProxyContext): ProxySnapshot {
  const { document, shape, services, overrides, problems } = context;
  const { name, namespace = NAMESPACE } = shape.metadata;
  const spec = shape.spec ?? {};
  const outbound = compileOutbound(context);
  const inbound = compileInbound(context);
  const listeners = [...outbound.listeners, ...inbound.listeners];
  const admin = compileAdmin(context);
  if (listeners.length === 0) {
    problems.push(
      document.problemAt(["spec"], "key", "error", `Proxy ${name} listens nowhere`, "give it spec.outbound.listen or spec.inbound"),
    );
  }
  checkListeners(context, listeners, admin);
  checkLoops(context, [...services, ...inbound.services], listeners, admin);
  const identity = compileIdentity(context);
  checkIdentities(context, services);
  const certificates = [...listeners, ...inbound.redirectedPorts].flatMap(({ certificate }) => certificate ?? []);
  return {
    name,
    namespace,
    workers: compileWorkers(overrides.workers ?? spec.workers ?? "auto", inbound.listeners.length > 0),
    listeners: listeners.map((entry) => entry.listener),
    outbound: outbound.rules,
    admin: admin?.listen ?? null,
    shutdownEndpoint: spec.admin?.shutdownEndpoint ?? true,
    forwarded: spec.forwarded ?? false,
    allowConnect: spec.allowConnect ?? false,
    accessLog: spec.accessLog ?? "off",
    logLevel: spec.logLevel ?? LOG_LEVEL,
    limits: compileLimits(context),
    services: [...services, ...inbound.services].map((entry) => entry.snapshot),
    ...(inbound.redirectedPorts.length > 0 && { redirectedPorts: inbound.redirectedPorts.map(({ listener }) => listener) }),
    ...(certificates.length > 0 && { certificates }),
    ...(identity !== null && { identity: identity.source }),
    ...(identity?.identity && { meshIdentity: identity.identity }),
  };
}

/** A proxy beside one service needs one worker; one that serves a host is left to the host's cores. */
function compileWorkers(workers: number | "auto", isSidecar: boolean): number | "auto" {
  return workers === "auto" && isSidecar ? 1 : workers;
}

interface Place {
  readonly listen: HostPort;
  readonly path: Path;
}

function compileAdmin({ shape, overrides }: ProxyContext): Place | null {
  const path = ["spec", "admin", "listen"];
  if (overrides.admin !== undefined) return overrides.admin === null ? null : { listen: overrides.admin, path };
  const listen = shape.spec?.admin?.listen ?? defaultAddress(ADMIN_LISTEN);
  return listen === "off" ? null : { listen, path };
}

function checkListeners(context: ProxyContext, listeners: readonly CompiledListener[], admin: Place | null): void {
  const { document, shape, problems } = context;
  const places: Place[] = listeners.map(({ listener, path }) => ({ listen: listener.listen, path }));
  if (admin !== null) places.push(admin);
  for (const [index, place] of places.entries()) {
    const other = places.slice(0, index).find((earlier) => collide(earlier.listen, place.listen));
    if (other === undefined) continue;
    // Point at the one that was written; the other may be a default.
    const [at, beside] = valueAt(document.value, place.path) === undefined ? [other, place] : [place, other];
    const message = `${describePlace(at)} and ${describePlace(beside)} cannot both listen`;
    problems.push(document.problemAt(at.path, "value", "error", message, "give one of them another port or address"));
  }
  const outbound = listeners.find((entry) => entry.listener.id === "outbound");
  if (shape.spec?.outbound?.unknown === "forward" && outbound !== undefined && isWildcard(outbound.listener.listen.host)) {
    const message = "spec.outbound.unknown is forward, and spec.outbound.listen is open to other hosts";
    problems.push(
      document.problemAt(
        ["spec", "outbound", "unknown"],
        "value",
        "warning",
        message,
        "whoever reaches this proxy reaches every host that it reaches",
      ),
    );
  }
}

/** Endpoints with an identity need a proxy that has one. */
function checkIdentities({ shape, problems }: ProxyContext, services: readonly CompiledService[]): void {
  if (shape.spec?.identity !== undefined) return;
  for (const { document, places } of services) {
    for (const { path, endpoint } of places) {
      if (endpoint.identity === undefined) continue;
      const at = [...path.slice(0, -1), "identity"];
      const message = `${formatPath(at)} is set, and Proxy ${shape.metadata.name} has no identity itself`;
      problems.push(document.problemAt(at, "key", "error", message, "give it spec.identity"));
      return;
    }
  }
}

function describePlace({ listen, path }: Place): string {
  return `${formatPath(path)} (${formatHostPort(listen)})`;
}

function checkLoops(
  context: ProxyContext,
  services: readonly CompiledService[],
  listeners: readonly CompiledListener[],
  admin: Place | null,
): void {
  const ports = new Set(listeners.map((entry) => entry.listener.listen.port));
  if (admin !== null) ports.add(admin.listen.port);
  for (const service of services) {
    for (const { path, endpoint } of service.places) {
      if (!ports.has(endpoint.port)) continue;
      const loop = listeners.find((entry) => reaches(endpoint, entry.listener.listen));
      const text = `${formatPath(path)} is ${formatHostPort(endpoint)}`;
      if (loop !== undefined) {
        const message = `${text}, the ${loop.listener.direction} listener of Proxy ${context.shape.metadata.name} itself`;
        context.problems.push(
          service.document.problemAt(path, "value", "error", message, "requests would go round in a circle; name the service's own port"),
        );
      } else if (admin !== null && reaches(endpoint, admin.listen)) {
        const message = `${text}, the admin port of Proxy ${context.shape.metadata.name} itself`;
        context.problems.push(
          service.document.problemAt(path, "value", "error", message, "the proxy's clients would count as local there"),
        );
      }
    }
  }
}

/** Pairs of which the first may not be above the second. */
const LIMIT_ORDER: readonly (readonly [LimitName, LimitName])[] = [["reconnectBackoffMinMs", "reconnectBackoffMaxMs"]];

function compileLimits({ document, shape, problems }: ProxyContext): Limits {
  const given = Object.entries(shape.spec?.limits ?? {}).filter((entry): entry is [LimitName, number] => entry[1] !== undefined);
  const limits: Limits = { ...DEFAULT_LIMITS, ...Object.fromEntries(given) };
  for (const [low, high] of LIMIT_ORDER) {
    if (limits[low] <= limits[high]) continue;
    const wrong = shape.spec?.limits?.[low] === undefined ? high : low;
    const message = `spec.limits.${low} (${limits[low]}) is above ${high} (${limits[high]})`;
    problems.push(document.problemAt(["spec", "limits", wrong], "value", "error", message, null));
  }
  return limits;
}
