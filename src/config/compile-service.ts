// A Service document of the right shape to its snapshot.

import { parseIp } from "../core/route/ip-literal.ts";
import { formatHostPort } from "./address.ts";
import { LOAD_BALANCER, NAMESPACE } from "./defaults.ts";
import { formatPath } from "./problem.ts";
import type { Path, Problem } from "./problem.ts";
import type { ServiceDocument } from "./schema.ts";
import { serviceKey } from "./service-catalog.ts";
import { valueAt } from "./shape-problems.ts";
import type { EndpointPlace, ServicePort, ServiceSnapshot } from "./snapshot.ts";
import type { SourceDocument } from "./yaml-documents.ts";

/** A service with where its endpoints were written, for the checks against a proxy's listeners. */
export interface CompiledService {
  readonly document: SourceDocument;
  readonly snapshot: ServiceSnapshot;
  readonly places: readonly { readonly path: Path; readonly endpoint: EndpointPlace }[];
}

/** Compiles a service; mistakes go to `problems`, and what they concern is left out. */
export function compileService(document: SourceDocument, shape: ServiceDocument, problems: Problem[]): CompiledService {
  const { name, namespace = NAMESPACE } = shape.metadata;
  const spec = shape.spec ?? {};
  const addresses: EndpointPlace[] = [];
  const dns: EndpointPlace[] = [];
  const places: { path: Path; endpoint: EndpointPlace }[] = [];
  const seen = new Map<string, number>();
  for (const [index, entry] of (spec.endpoints ?? []).entries()) {
    const path = ["spec", "endpoints", index];
    const endpoint = entry.dns ?? entry.address;
    if (!isOneAddress(document, path, entry, problems) || endpoint === undefined) continue;
    const key = formatHostPort(endpoint);
    const valuePath = [...path, entry.dns === undefined ? "address" : "dns"];
    const first = seen.get(key);
    if (first !== undefined) {
      problems.push(
        document.problemAt(valuePath, "value", "warning", `${formatPath(path)} is the same as endpoint [${first}]`, "it counts once"),
      );
      continue;
    }
    seen.set(key, index);
    const place: EndpointPlace = entry.identity === undefined ? endpoint : { ...endpoint, identity: entry.identity };
    (entry.dns === undefined ? addresses : dns).push(place);
    places.push({ path: valuePath, endpoint: place });
  }
  if ((spec.endpoints ?? []).length === 0) {
    const message = `Service ${name} has no endpoints`;
    problems.push(document.problemAt(["spec", "endpoints"], "key", "warning", message, "its requests will fail until it has one"));
  }
  const ports = compilePorts(document, spec.ports ?? [], problems);
  const loadBalancer = spec.loadBalancer ?? LOAD_BALANCER;
  const ownAddresses = (spec.addresses ?? []).map((text) => parseIp(text) ?? text);
  return {
    document,
    places,
    snapshot: {
      ...{ key: serviceKey(namespace, name), name, namespace, ports, loadBalancer, addresses, dns },
      ...(ownAddresses.length > 0 && { ownAddresses }),
    },
  };
}

/** Checks the endpoints of a service whose shape has mistakes, as far as they have none: all mistakes are told at once. */
export function checkEndpoints(document: SourceDocument, wrong: readonly Path[], problems: Problem[]): void {
  const entries = valueAt(document.value, ["spec", "endpoints"]);
  if (!Array.isArray(entries)) return;
  const seen = new Set(wrong.filter(([first, second]) => first === "spec" && second === "endpoints").map((path) => path[2]));
  for (const [index, entry] of entries.entries()) {
    if (!seen.has(index)) isOneAddress(document, ["spec", "endpoints", index], entry as EndpointShape, problems);
  }
}

type EndpointShape = { readonly address?: unknown; readonly dns?: unknown };

/** Either an address or a name; anything else is told. */
function isOneAddress(document: SourceDocument, path: Path, { address, dns }: EndpointShape, problems: Problem[]): boolean {
  if ((address === undefined) !== (dns === undefined)) return true;
  const message = `${formatPath(path)} has ${address === undefined ? "neither address nor dns" : "both address and dns"}`;
  problems.push(document.problemAt(path, "value", "error", message, "give it one of them"));
  return false;
}

type PortShape = NonNullable<NonNullable<ServiceDocument["spec"]>["ports"]>[number];

function compilePorts(document: SourceDocument, shapes: readonly PortShape[], problems: Problem[]): ServicePort[] {
  const ports = new Map<number, ServicePort>();
  for (const [index, { port, protocol = "detect" }] of shapes.entries()) {
    if (ports.has(port)) {
      const path = ["spec", "ports", index, "port"];
      problems.push(document.problemAt(path, "value", "error", `${formatPath(path)} is ${port} for the second time`, "remove one of them"));
    }
    ports.set(port, { port, protocol });
  }
  return [...ports.values()];
}
