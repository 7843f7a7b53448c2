// `spec.identity` of a Proxy document: an identity component, or files.

import { createSecureContext } from "node:tls";
import { DEFAULT_CONTROL_NAMESPACE, DEFAULT_TRUST_DOMAIN, parseMesh } from "../core/identity/names.ts";
import { PemReader } from "./pem-files.ts";
import { formatPath } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import type { ProxyDocument } from "./schema.ts";
import type { IdentitySource, MeshIdentity } from "./snapshot.ts";

const PATH = ["spec", "identity"];
const OF_FILES = ["cert", "key", "trust"] as const;
const OF_CONTROLLER = ["token", "keep", "mesh"] as const;
const NOT_OF_CONTROLLER = ["cert", "key"] as const;

/** A DNS name in a certificate, as Node prints it; names with anything unusual are quoted there, and are no identity. */
const DNS_NAME = /(?:^|, )DNS:([a-z0-9.-]+)(?=, |$)/g;

export interface CompiledIdentity {
  readonly source: IdentitySource;
  /** Of files only. */
  readonly identity: MeshIdentity | null;
}

/** Null without `spec.identity`, and after at least one problem. */
export function compileIdentity(context: ProxyContext): CompiledIdentity | null {
  const shape = context.shape.spec?.identity;
  if (shape === undefined) return null;
  const { controller, ...files } = shape;
  const reader = new PemReader(context, PATH, files);
  const strangers = controller === undefined ? OF_CONTROLLER : NOT_OF_CONTROLLER;
  for (const key of strangers) {
    if (shape[key] === undefined) continue;
    const message = `${formatPath([...PATH, key])} is set ${controller === undefined ? "without" : "beside"} spec.identity.controller`;
    const hint = controller === undefined ? "set controller, or cert, key and trust" : "set either controller, or cert, key and trust";
    context.problems.push(context.document.problemAt([...PATH, key], "key", "error", message, hint));
    return null;
  }
  if (controller === undefined) return fromFiles(context, reader, shape);
  const tokenFile = shape.token === undefined ? null : reader.locate("token");
  const keep = shape.keep === undefined ? null : reader.locate("keep");
  const tokenTrust = compileTokenTrust(context, reader, shape);
  if (tokenTrust === null) return null;
  return { source: { kind: "controller", controller, tokenFile, keep, ...tokenTrust }, identity: null };
}

/** A service account's token needs roots, and may need the name of its mesh; null after a problem. The file may come later than the proxy. */
function compileTokenTrust(
  context: ProxyContext,
  reader: PemReader,
  { trust, mesh }: NonNullable<NonNullable<ProxyDocument["spec"]>["identity"]>,
): Pick<Extract<IdentitySource, { kind: "controller" }>, "tokenTrust"> | null {
  if (trust === undefined && mesh !== undefined) {
    const message = "spec.identity.mesh is set without spec.identity.trust";
    context.problems.push(
      context.document.problemAt(
        [...PATH, "mesh"],
        "key",
        "error",
        message,
        "a join token names its mesh; mesh is for service accounts' tokens",
      ),
    );
    return null;
  }
  if (trust === undefined) return {};
  const file = reader.locate("trust");
  const { controlNamespace, trustDomain } = parseMesh(mesh ?? "") ?? {
    controlNamespace: DEFAULT_CONTROL_NAMESPACE,
    trustDomain: DEFAULT_TRUST_DOMAIN,
  };
  return file === null ? null : { tokenTrust: { file, mesh: { controlNamespace, trustDomain } } };
}

function fromFiles(
  context: ProxyContext,
  reader: PemReader,
  shape: NonNullable<NonNullable<ProxyDocument["spec"]>["identity"]>,
): CompiledIdentity | null {
  const missing = OF_FILES.filter((key) => shape[key] === undefined);
  if (missing.length > 0) {
    const message = missing.length === OF_FILES.length ? "spec.identity says nothing" : `spec.identity has no ${missing.join(" and no ")}`;
    context.problems.push(
      context.document.problemAt(PATH, "key", "error", message, "set either controller, or all of cert, key and trust"),
    );
    return null;
  }
  const pair = reader.pair();
  const trust = reader.certificates("trust");
  if (pair === null || trust === null) return null;
  if (trust.chain.some((root) => !root.ca)) {
    return reader.report("trust", "has a certificate that is no authority's", "it must hold the roots, not the certificates they issued");
  }
  const name = [...(pair.leaf.subjectAltName ?? "").matchAll(DNS_NAME)][0]?.[1];
  if (name === undefined) return reader.report("cert", "has no DNS name, by which other proxies could ask for it", null);
  try {
    createSecureContext({ ca: trust.pem });
  } catch (error) {
    const { reason = "unknown reason" } = error as { reason?: string };
    return reader.report("trust", `has what OpenSSL does not take: ${reason}`, null);
  }
  const { certFile, keyFile, cert, key } = pair;
  return { source: { kind: "files", certFile, keyFile, trustFile: trust.file }, identity: { name, cert, key, trust: trust.pem } };
}
