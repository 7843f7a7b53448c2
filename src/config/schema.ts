// The shape of configuration documents: every key, what it takes, what it means. The only file that knows zod.
//
// Shapes only: whether names exist, addresses collide or loop is checked when the documents are compiled. Unknown keys are
// errors everywhere. The texts in `info` serve error messages and the table in docs/configuration.md alike.
// Long because it is one list of keys, read from its beginning to its end.

import { z } from "zod";
import { DEFAULT_CONTROL_NAMESPACE, DEFAULT_TRUST_DOMAIN, parseIdentity, parseMesh } from "../core/identity/names.ts";
import { DEFAULT_CLUSTER_NETWORKS, DEFAULT_POLICIES } from "../core/policy/default-policy.ts";
import { parseIdentityPattern } from "../core/policy/identity-pattern.ts";
import { parseIp } from "../core/route/ip-literal.ts";
import { isServiceName } from "../core/route/service-names.ts";
import { parseHostPort } from "./address.ts";
import type { AddressMistake, AddressUse } from "./address.ts";
import { ADMIN_LISTEN, defaultAddress, INBOUND_LISTEN, LOAD_BALANCER, LOG_LEVEL, NAMESPACE, OUTBOUND_LISTEN } from "./defaults.ts";
import { LIMITS } from "./limits.ts";
import type { Path } from "./problem.ts";
import type { HostPort } from "./snapshot.ts";

export const API_VERSION = "weft.dev/v1alpha1";
export const KINDS = ["Proxy", "Service"] as const;
export type Kind = (typeof KINDS)[number];

/** Workers at most: beyond the cores of any machine, threads only cost memory. */
export const WORKERS_MAX = 256;

/** What a key takes; decides how a wrong value is read when guessing what was meant. */
export type ValueType =
  | "name"
  | "reference"
  | "address"
  | "network"
  | "file"
  | "whole number"
  | "boolean"
  | "enum"
  | "constant"
  | "map"
  | "list";

export interface KeyInfo {
  readonly type: ValueType;
  /** Continues "expected ...". */
  readonly expects: string;
  readonly about: string;
  /** As written in YAML; `null` without one. */
  readonly byDefault: string | null;
}

const info = z.registry<KeyInfo>();

function key<S extends z.ZodType>(schema: S, type: ValueType, expects: string, about: string, byDefault: string | null = null): S {
  info.add(schema, { type, expects, about, byDefault });
  return schema;
}

function oneOf<const T extends readonly [string, ...string[]]>(values: T, about: string, byDefault: string | null) {
  return key(z.enum(values), "enum", `one of ${values.join(", ")}`, about, byDefault);
}

const PROTOCOLS = ["detect", "http1", "http2", "grpc", "opaque"] as const;
const NAME_RULE = "a name of lower-case letters, digits, - and _ that begins with a letter";

const name = (about: string, byDefault: string | null = null) => key(z.string().refine(isServiceName), "name", NAME_RULE, about, byDefault);
const port = (about: string) => key(z.int().min(1).max(65535), "whole number", "a port number from 1 to 65535", about);
const yes = (about: string, byDefault = "false") => key(z.boolean(), "boolean", "true or false", about, byDefault);
const reference = (expects: string, about: string) => key(z.string(), "reference", expects, about);
const protocol = (about: string, byDefault: string) => oneOf(PROTOCOLS, about, byDefault).optional();
const map = <S extends z.core.$ZodLooseShape>(shape: S, about: string) => described(z.strictObject(shape), about);
const described = <S extends z.ZodType>(schema: S, about: string) => key(schema, "map", "a map of keys", about);
const list = <S extends z.ZodType>(element: S, about: string) => key(z.array(element), "list", "a list", about, "[]").optional();

/** Text on its way to an address; what is wrong with it travels in the issue's `params`. */
function readAddress(text: string, use: AddressUse, byDefault: string | null, context: z.core.$RefinementCtx): HostPort {
  const result = parseHostPort(text, use, byDefault === null ? undefined : defaultAddress(byDefault).port);
  if ("ok" in result) return result.ok;
  context.addIssue({ code: "custom", params: { mistake: result.mistake } });
  return z.NEVER;
}

const EXAMPLES: Readonly<Record<AddressUse, string>> = {
  listen: 'an IP address and a port such as "127.0.0.1:4140"',
  address: 'an IP address and a port such as "10.0.0.1:8080"',
  name: "a name and a port such as web:8080",
  target: 'HOST:PORT such as "127.0.0.1:8080"',
};

function address(use: AddressUse, about: string, byDefault: string | null = null) {
  const schema = z.string().transform((text, context) => readAddress(text, use, byDefault, context));
  return key(schema, "address", EXAMPLES[use], about, byDefault);
}

function addressOrOff(about: string, byDefault: string) {
  const schema = z
    .string()
    .transform((text, context) => (text === "off" ? ("off" as const) : readAddress(text, "listen", byDefault, context)));
  return key(schema, "address", `${EXAMPLES.listen}, or off`, about, byDefault).optional();
}

const limits = map(
  Object.fromEntries(
    Object.entries(LIMITS).map(([limit, row]) => [
      limit,
      key(
        z.int().min(row.min).max(row.max),
        "whole number",
        `a whole number from ${row.min} to ${row.max} (${row.unit})`,
        row.reason,
        String(row.default),
      ).optional(),
    ]),
  ),
  "Limits of the data plane, whole numbers in the unit that the name ends in; docs/limits.md has them all.",
);

const tlsPair = map(
  {
    cert: key(z.string().min(1), "file", "the path of a PEM file", "The certificate, then those of its chain, in PEM."),
    key: key(z.string().min(1), "file", "the path of a PEM file", "Its private key, in PEM, without a passphrase."),
  },
  "A certificate and its key.",
);

/** One map or a list of them: what is wrong is told about the one that was written. */
const tls = key(
  z.union([tlsPair, z.array(tlsPair)]),
  "map",
  "a map of cert and key, or a list of such maps",
  "Connections are TLS, with this certificate, or with the one of a list that has the name which the client asks for, else the first. Plain connections are refused. Paths are relative to this file; the files are watched.",
).optional();

const outboundPort = map(
  {
    listen: address("listen", "Where this listener accepts connections."),
    service: reference("a service's name such as db, db.shop or db:5432", "The service that every connection goes to."),
    protocol: protocol("Overrides the protocol of the service's port.", "the service's port's"),
    tls,
  },
  "A listener for one service.",
);

const clientNetwork = key(
  z.strictObject({
    cidr: key(z.string(), "network", "a network such as 10.0.0.0/8 or fd00::/8", "A network."),
    except: key(
      z.array(key(z.string(), "network", "a network such as 10.0.0.0/8 or fd00::/8", "A part of it.")),
      "list",
      "a list of networks",
      "Parts of it that do not count.",
      "[]",
    ).optional(),
  }),
  "map",
  "a map such as {cidr: 10.0.0.0/8}",
  "A network, without some parts.",
);

const allowRule = map(
  {
    name: name("What the rule is called in the log and in metrics.", "allow-1, allow-2, ...").optional(),
    identities: key(
      z.array(
        key(
          z.string().refine((text) => parseIdentityPattern(text) !== null),
          "reference",
          'an identity such as web.shop.serviceaccount.identity.weft.cluster.local, "*.shop.serviceaccount.identity.weft.cluster.local" for all below a name, "*" for any, or a spiffe:// one',
          "An identity.",
        ),
      ),
      "list",
      "a list of identities",
      "One of them must be the client's, proven by mesh TLS: a name, `*.` and the end of names, `*` for any, or a SPIFFE URI.",
    ).optional(),
    networks: key(z.array(clientNetwork), "list", "a list of maps with cidr", "The client's address must be in one of them.").optional(),
  },
  "Clients that may come in: those of whom all is true that the rule says.",
);

/** One of the names, or rules. */
const policy = (byDefault: string) =>
  key(
    z.union([
      map({ allow: key(z.array(allowRule), "list", "a list of rules", "Rules, one of which must admit the client.") }, "Rules."),
      z.enum(DEFAULT_POLICIES),
    ]),
    "enum",
    `one of ${DEFAULT_POLICIES.join(", ")}, or a map with allow`,
    "Who may come in.",
    byDefault,
  ).optional();

const inboundPort = map(
  {
    port: port("Port beside that of `inbound.listen`, on the same address; with `transparent`, the port that connections were made to."),
    target: address("target", "The local service behind it; with `transparent`, where the connection was going if absent.").optional(),
    protocol: protocol("What clients speak there.", "detect"),
    tls,
    policy: policy("that of spec.inbound"),
  },
  "A further inbound port.",
);

const inbound = z.strictObject({
  listen: address("listen", "Where others reach the service.", INBOUND_LISTEN).optional(),
  transparent: yes(
    "Connections are redirected here (`weft init`): each goes to the address and port of the service that it was made to.",
  ).optional(),
  target: address("target", "The service beside the proxy; with `transparent`, of connections to this listener itself.").optional(),
  protocol: protocol("What clients speak there.", "detect"),
  tls,
  policy: policy("all-unauthenticated"),
  clusterNetworks: key(
    z.array(key(z.string(), "network", "a network such as 10.0.0.0/8 or fd00::/8", "A network.")),
    "list",
    "a list of networks",
    "The networks that the `cluster-*` policies mean. A list replaces the default: the private ranges and loopback.",
    `[${DEFAULT_CLUSTER_NETWORKS.join(", ")}]`,
  ).optional(),
  ports: list(inboundPort, "Further ports of the service; with `transparent`, what is different for connections made to such a port."),
});

/** Only redirected connections say by themselves where they go. */
function checkTargets({ transparent, target, ports = [] }: z.output<typeof inbound>, context: z.core.$RefinementCtx): void {
  if (transparent === true) return;
  const missing = (path: (string | number)[]) => context.addIssue({ code: "custom", path, params: { isMissing: true } });
  if (target === undefined) missing(["target"]);
  for (const [index, port_] of ports.entries()) if (port_.target === undefined) missing(["ports", index, "target"]);
}

const pemFile = (about: string) => key(z.string().min(1), "file", "the path of a PEM file", about).optional();

const identity = map(
  {
    controller: address("target", "The identity component, which issues the proxy's certificates.").optional(),
    token: key(
      z.string().min(1),
      "file",
      "the path of a file",
      "The join token for the first certificate; without it WEFT_IDENTITY_TOKEN has it.",
    ).optional(),
    keep: key(
      z.string().min(1),
      "file",
      "the path of a folder",
      "Key and certificate are kept there (0600), so that a restarted proxy serves while no identity component can be reached.",
    ).optional(),
    cert: pemFile("Instead of `controller`: the certificate, then those of its chain."),
    key: pemFile("Its private key."),
    trust: pemFile(
      "The roots that others' certificates must come from. With `controller`: `token` is a service account's (Kubernetes), which pins no roots, and goes only to who comes from these.",
    ),
    mesh: key(
      z.string().refine((text) => parseMesh(text) !== null),
      "name",
      "a control namespace and a trust domain such as weft.cluster.local",
      "With `trust` and `controller`: the mesh that the component is of, which a service account's token does not say.",
      `${DEFAULT_CONTROL_NAMESPACE}.${DEFAULT_TRUST_DOMAIN}`,
    ).optional(),
  },
  "Who the proxy is in the mesh: mutual TLS to endpoints with an `identity`, and from other proxies. Paths are relative to this file.",
);

const proxySpec = map(
  {
    workers: key(
      z.union([z.literal("auto"), z.int().min(0).max(WORKERS_MAX)]),
      "whole number",
      `a whole number from 0 to ${WORKERS_MAX}, or auto`,
      "Worker threads. `auto`: 1 beside a service (with `inbound`), else one per core. 0: the main thread forwards.",
      "auto",
    ).optional(),
    outbound: map(
      {
        listen: addressOrOff("Where clients send requests, which name their service. Port 0: any free one.", OUTBOUND_LISTEN),
        protocol: protocol("What clients speak there.", "detect"),
        tls,
        default: reference("a service's name such as web or web.shop", "The service for requests that name none.").optional(),
        unknown: oneOf(["refuse", "forward"], "What happens to a name that no service has: 404, or on to that host.", "refuse").optional(),
        allowOverride: yes("`l5d-dst-override` from a client counts.").optional(),
        transparent: yes(
          "Connections are redirected here (`weft init`): the address that each was made to decides where it goes, not what it names.",
        ).optional(),
        ports: list(outboundPort, "Listeners for one service each."),
      },
      "Traffic from this host or service.",
    ).optional(),
    inbound: described(
      inbound.superRefine(checkTargets),
      "Traffic to the service beside the proxy. Absent: nothing listens for it.",
    ).optional(),
    identity: identity.optional(),
    admin: map(
      {
        listen: addressOrOff("Metrics, readiness and the like.", ADMIN_LISTEN),
        shutdownEndpoint: yes("`POST /shutdown` of a loopback client drains the proxy.", "true").optional(),
      },
      "The admin server.",
    ).optional(),
    forwarded: yes(
      "Add the client's address to X-Forwarded-For of requests (behind what is there), and Via to requests and responses.",
    ).optional(),
    allowConnect: yes("Accept CONNECT for configured services.").optional(),
    accessLog: oneOf(
      ["off", "apache", "json"],
      "One line per request on standard output; docs/access-log.md has the fields.",
      "off",
    ).optional(),
    logLevel: oneOf(
      ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
      "The least severe that is logged.",
      LOG_LEVEL,
    ).optional(),
    limits: limits.optional(),
  },
  "What the proxy does.",
);

const servicePort = map(
  { port: port("The port that clients name."), protocol: protocol("What is spoken there.", "detect") },
  "A port of the service.",
);

const endpoint = map(
  {
    address: address("address", "One endpoint.").optional(),
    dns: address("name", "Every address of this name is an endpoint.").optional(),
    identity: key(
      z.string().refine((text) => parseIdentity(text) !== null),
      "reference",
      "an identity such as web.shop.serviceaccount.identity.weft.cluster.local, or a spiffe:// one",
      "Who must be there: connections are mesh TLS, and nobody else is spoken to.",
    ).optional(),
  },
  "`address` or `dns`, one of them.",
);

const serviceSpec = map(
  {
    ports: list(servicePort, "Without any, every port may be named, and the protocol is detected."),
    loadBalancer: oneOf(["ewma", "p2c", "round-robin"], "How endpoints are picked.", LOAD_BALANCER).optional(),
    endpoints: list(endpoint, "Where the service runs."),
    addresses: list(
      key(
        z.string().refine((text) => parseIp(text) !== null),
        "address",
        "an IP address such as 10.96.0.10",
        "An address of the service.",
      ),
      "IP addresses that mean the service to clients of transparent listeners, beside those of its endpoints: virtual ones.",
    ),
  },
  "What the service is.",
);

function metadata(about: string) {
  return map({ name: name(about), namespace: name("Names without a namespace mean this one.", NAMESPACE).optional() }, "Who this is.");
}

const head = <K extends Kind>(kind: K) => ({
  apiVersion: key(z.literal(API_VERSION), "constant", API_VERSION, "The version of this language."),
  kind: key(z.literal(kind), "constant", kind, "What the document describes."),
});

const SCHEMAS = {
  Proxy: map({ ...head("Proxy"), metadata: metadata("The proxy's name; `--name` selects it."), spec: proxySpec.optional() }, "A proxy."),
  Service: map({ ...head("Service"), metadata: metadata("The first part of its host names."), spec: serviceSpec.optional() }, "A service."),
};

export type ProxyDocument = z.infer<(typeof SCHEMAS)["Proxy"]>;
export type ServiceDocument = z.infer<(typeof SCHEMAS)["Service"]>;

/** A key that is missing or has a wrong value. */
export interface ValueIssue {
  readonly what: "missing" | "wrong";
  readonly path: Path;
  readonly type: ValueType;
  readonly expects: string;
  /** Of an enum. */
  readonly values: readonly string[];
}

/** What zod found, without zod's words. */
export type SchemaIssue =
  | { readonly what: "unknown-key"; readonly path: Path; readonly key: string; readonly keys: readonly string[] }
  | { readonly what: "bad-address"; readonly path: Path; readonly mistake: AddressMistake }
  | ValueIssue;

/** Checks the shape of a document of a known kind. */
export function checkShape(kind: "Proxy", value: unknown): { ok: ProxyDocument } | { issues: SchemaIssue[] };
export function checkShape(kind: "Service", value: unknown): { ok: ServiceDocument } | { issues: SchemaIssue[] };
export function checkShape(kind: Kind, value: unknown): { ok: ProxyDocument | ServiceDocument } | { issues: SchemaIssue[] } {
  const result = SCHEMAS[kind].safeParse(value, { reportInput: true });
  return result.success ? { ok: result.data } : { issues: result.error.issues.flatMap((issue) => toSchemaIssues(kind, issue)) };
}

function toSchemaIssues(kind: Kind, issue: z.core.$ZodIssue, base: Path = []): SchemaIssue[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))];
  const schema = schemaAt(SCHEMAS[kind], path);
  if (issue.code === "invalid_union" && isOneOrMany(schema) && typeof issue.input === "object" && issue.input !== null) {
    const issues = issue.errors[Array.isArray(issue.input) ? 1 : 0] ?? [];
    return issues.flatMap((one) => toSchemaIssues(kind, one, path));
  }
  if (issue.code === "unrecognized_keys") {
    const one = isOneOrMany(schema) ? schema.options[0] : schema;
    const keys = one instanceof z.ZodObject ? Object.keys(one.shape) : [];
    return issue.keys.map((unknownKey) => ({ what: "unknown-key", path, key: unknownKey, keys }));
  }
  if (issue.code === "custom" && issue.params?.["mistake"] !== undefined) {
    return [{ what: "bad-address", path, mistake: issue.params["mistake"] as AddressMistake }];
  }
  const values = enumOf(schema)?.options.map(String) ?? [];
  const { type, expects } = info.get(schema) ?? { type: "map", expects: "something else" };
  const isMissing = issue.input === undefined || (issue.code === "custom" && issue.params?.["isMissing"] === true);
  return [{ what: isMissing ? "missing" : "wrong", path, type, expects, values }];
}

function schemaAt(root: z.ZodType, path: Path): z.ZodType {
  let schema = unwrap(root);
  for (const step of path) {
    if (isOneOrMany(schema)) schema = unwrap(schema.options[typeof step === "number" ? 1 : 0] as z.ZodType);
    if (schema instanceof z.ZodObject && typeof step === "string" && step in schema.shape) schema = unwrap(schema.shape[step]);
    else if (schema instanceof z.ZodArray) schema = unwrap(schema.element as z.ZodType);
    else break;
  }
  return schema;
}

function enumOf(schema: z.ZodType): z.ZodEnum | null {
  const found = schema instanceof z.ZodUnion ? schema.options.find((option) => option instanceof z.ZodEnum) : schema;
  return found instanceof z.ZodEnum ? found : null;
}

/** A map, or something else: a list of such maps, or a word. */
function isOneOrMany(schema: z.ZodType): schema is z.ZodUnion {
  return schema instanceof z.ZodUnion && schema.options[0] instanceof z.ZodObject;
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap() as z.ZodType) : schema;
}

export interface KeyRow extends KeyInfo {
  /** `spec.outbound.ports[].listen` */
  readonly key: string;
}

/** Every key of a kind in the order of the schema, for the documentation and for "belongs in" hints. */
export function listKeys(kind: Kind): KeyRow[] {
  const rows: KeyRow[] = [];
  const visit = (schema: z.ZodType, at: string): void => {
    const row = info.get(schema);
    if (at !== "" && row !== undefined) rows.push({ key: at, ...row });
    if (schema instanceof z.ZodArray) {
      const element = unwrap(schema.element as z.ZodType);
      if (element instanceof z.ZodObject) visitShape(element, `${at}[].`);
    } else if (isOneOrMany(schema)) {
      visitShape(schema.options[0] as z.ZodObject, `${at}.`);
    } else if (schema instanceof z.ZodObject) {
      visitShape(schema, at === "" ? "" : `${at}.`);
    }
  };
  const visitShape = (schema: z.ZodObject, prefix: string): void => {
    for (const [name_, part] of Object.entries(schema.shape)) visit(unwrap(part as z.ZodType), `${prefix}${name_}`);
  };
  visit(SCHEMAS[kind], "");
  return rows;
}
