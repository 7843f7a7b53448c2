// The listeners of a Proxy document, and the services that its inbound targets stand for.

import { formatHostPort } from "./address.ts";
import { compileTls, type TlsFiles } from "./certificates.ts";
import { PolicyCompiler, type PolicyShape } from "./compile-policy.ts";
import type { CompiledService } from "./compile-service.ts";
import { defaultAddress, INBOUND_LISTEN, NAMESPACE, OUTBOUND_LISTEN } from "./defaults.ts";
import { formatPath } from "./problem.ts";
import type { Path } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import { findService } from "./service-references.ts";
import type { FoundService } from "./service-references.ts";
import { serviceKey } from "./service-catalog.ts";
import { show } from "./shape-problems.ts";
import { makeTargetService } from "./target-service.ts";
import type { CertificateSnapshot, HostPort, ListenerSnapshot, OutboundRules, Protocol } from "./snapshot.ts";

export interface CompiledListener {
  readonly listener: ListenerSnapshot;
  /** Where its address was written. */
  readonly path: Path;
  readonly certificate?: CertificateSnapshot;
}

export interface CompiledOutbound {
  readonly listeners: readonly CompiledListener[];
  readonly rules: OutboundRules;
}

export interface CompiledInbound {
  readonly listeners: readonly CompiledListener[];
  /** Of a transparent listener: ports with rules of their own, at which nothing listens. */
  readonly redirectedPorts: readonly CompiledListener[];
  readonly services: readonly CompiledService[];
}

/** The listener for requests by name, and those for one service each. */
export function compileOutbound(context: ProxyContext): CompiledOutbound {
  const { document, shape, problems } = context;
  const outbound = shape.spec?.outbound ?? {};
  const listeners: CompiledListener[] = [];
  const path = ["spec", "outbound", "listen"];
  const listen = outbound.listen ?? defaultAddress(OUTBOUND_LISTEN);
  const protocol = outbound.protocol ?? "detect";
  if (listen !== "off") {
    const transparent = outbound.transparent === true && ({ transparent: true } as const);
    const listener: ListenerSnapshot = { id: "outbound", direction: "outbound", listen, protocol, service: null, ...transparent };
    listeners.push({ path, ...withTls(context, listener, ["spec", "outbound", "tls"], outbound.tls) });
  }
  if (outbound.transparent === true) checkTransparent(context);
  if (protocol === "opaque" && outbound.default === undefined && outbound.transparent !== true) {
    const message = "spec.outbound.protocol is opaque, and opaque connections name no service";
    problems.push(
      document.problemAt(
        ["spec", "outbound", "protocol"],
        "value",
        "error",
        message,
        "set spec.outbound.default, or use spec.outbound.ports",
      ),
    );
  }
  for (const index of (outbound.ports ?? []).keys()) {
    const listener = compileOutboundPort(context, index);
    if (listener !== null) listeners.push(listener);
  }
  const rules: OutboundRules = {
    default: compileDefault(context),
    unknown: outbound.unknown ?? "refuse",
    allowOverride: outbound.allowOverride ?? false,
  };
  return { listeners, rules };
}

/** The listeners in front of the local service. */
export function compileInbound(context: ProxyContext): CompiledInbound {
  const inbound = context.shape.spec?.inbound;
  if (inbound === undefined) return { listeners: [], redirectedPorts: [], services: [] };
  const isTransparent = inbound.transparent === true;
  const path = ["spec", "inbound", "listen"];
  const listen = inbound.listen ?? defaultAddress(INBOUND_LISTEN);
  const listeners: CompiledListener[] = [];
  const redirectedPorts: CompiledListener[] = [];
  const services: CompiledService[] = [];
  const policies = new PolicyCompiler(context);
  const add = (id: string, at: HostPort, listenPath: Path, base: Path, entry: InboundEntry): void => {
    const { target, protocol = "detect", tls, transparent } = entry;
    const targetPath = [...base, "target"];
    const key = `inbound/${at.port}`;
    const policy = policies.compile(id, base, entry === inbound ? undefined : entry.policy, tls !== undefined);
    const listener: ListenerSnapshot = {
      ...{ id, direction: "inbound", listen: at, protocol, service: target === undefined ? null : key },
      ...(policy !== null && { policy }),
      ...(isTransparent && ({ transparent: true } as const)),
    };
    const compiled = { path: listenPath, ...withTls(context, listener, [...base, "tls"], tls) };
    if (isTransparent && transparent !== true) redirectedPorts.push(compiled);
    else listeners.push(compiled);
    if (target === undefined) return;
    const snapshot = makeTargetService({ key, name: key, namespace: context.shape.metadata.namespace ?? NAMESPACE }, [target]);
    services.push({ document: context.document, places: [{ path: targetPath, endpoint: target }], snapshot });
  };
  add("inbound", listen, path, ["spec", "inbound"], inbound);
  for (const [index, entry] of (inbound.ports ?? []).entries()) {
    const { port } = entry;
    const base = ["spec", "inbound", "ports", index];
    add(`inbound/${port}`, { host: listen.host, port }, [...base, "port"], base, entry);
  }
  policies.finish();
  return { listeners, redirectedPorts, services };
}

/** What a request names counts for nothing at a transparent listener. */
function checkTransparent(context: ProxyContext): void {
  const { outbound } = context.shape.spec ?? {};
  const report = (key: string, severity: "error" | "warning", message: string, hint: string): void => {
    context.problems.push(context.document.problemAt(["spec", "outbound", key], "value", severity, message, hint));
  };
  if (outbound?.listen === "off")
    report(
      "transparent",
      "error",
      "spec.outbound.transparent is true, and spec.outbound.listen is off",
      "redirected connections need a listener",
    );
  for (const key of ["default", "unknown", "allowOverride"] as const) {
    if (outbound?.[key] === undefined) continue;
    report(key, "warning", `spec.outbound.${key} has no effect beside transparent`, "the address that a connection was made to decides");
  }
}

interface InboundEntry {
  readonly transparent?: boolean | undefined;
  readonly target?: HostPort | undefined;
  readonly protocol?: Protocol | undefined;
  readonly tls?: TlsFiles | readonly TlsFiles[] | undefined;
  readonly policy?: PolicyShape | undefined;
}

/** A listener with its certificate, where it has one. */
function withTls(
  context: ProxyContext,
  listener: ListenerSnapshot,
  path: Path,
  files: TlsFiles | readonly TlsFiles[] | undefined,
): Pick<CompiledListener, "listener" | "certificate"> {
  const compiled = compileTls(context, listener.id, path, files);
  return compiled === null ? { listener } : { listener: { ...listener, tls: compiled.tls }, certificate: compiled.certificate };
}

function compileDefault(context: ProxyContext): string | null {
  const reference = context.shape.spec?.outbound?.default;
  if (reference === undefined) return null;
  const path = ["spec", "outbound", "default"];
  const found = findService(context, path, reference, context.shape.metadata.namespace ?? NAMESPACE);
  if (found !== null && found.port !== null) {
    const message = `${formatPath(path)} is ${show(reference)}: a default has no port`;
    context.problems.push(context.document.problemAt(path, "value", "error", message, `did you mean ${reference.replace(/:.*/, "")}?`));
  }
  return found === null ? null : serviceKey(found.entry.namespace, found.entry.name);
}

function compileOutboundPort(context: ProxyContext, index: number): CompiledListener | null {
  const port = context.shape.spec?.outbound?.ports?.[index];
  if (port === undefined) return null;
  const base = ["spec", "outbound", "ports", index];
  const { listen } = port;
  const found = findService(context, [...base, "service"], port.service, context.shape.metadata.namespace ?? NAMESPACE);
  if (found === null) return null;
  const protocol = port.protocol ?? protocolOf(context, [...base, "service"], found, listen.port);
  const service = serviceKey(found.entry.namespace, found.entry.name);
  const listener: ListenerSnapshot = { id: `outbound/${formatHostPort(listen)}`, direction: "outbound", listen, protocol, service };
  return { path: [...base, "listen"], ...withTls(context, listener, [...base, "tls"], port.tls) };
}

/** The protocol of the port that the reference names, else of the port with the listener's number, else of the only port. */
function protocolOf(context: ProxyContext, path: Path, { entry, port }: FoundService, listenPort: number): Protocol {
  const ports = entry.service?.ports ?? [];
  if (ports.length === 0) return "detect";
  const wanted = port ?? (ports.length === 1 ? (ports[0]?.port ?? listenPort) : listenPort);
  const match = ports.find((candidate) => candidate.port === wanted);
  if (match !== undefined) return match.protocol;
  const names = ports.map((candidate) => `${entry.name}:${candidate.port}`).join(" or ");
  const message =
    port === null ? `${formatPath(path)}: which port of ${entry.name}?` : `${formatPath(path)}: Service ${entry.name} has no port ${port}`;
  context.problems.push(context.document.problemAt(path, "value", "error", message, `did you mean ${names}?`));
  return "detect";
}
