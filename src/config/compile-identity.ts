// `spec.identity` of a Proxy document: an identity component, or files.
//
// Files are read by the rules that peers go by (core/identity): a certificate that every peer would refuse is refused here, where
// somebody can do something about it. Also refused: a leaf as trust root, what OpenSSL does not take.

import { createSecureContext } from "node:tls";
import { readCertificate } from "../core/identity/certificate.ts";
import { DEFAULT_CONTROL_NAMESPACE, DEFAULT_TRUST_DOMAIN, identityName, parseMesh } from "../core/identity/names.ts";
import { checkPeer } from "../core/identity/peer-check.ts";
import { PemReader } from "./pem-files.ts";
import { formatPath } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import type { ProxyDocument } from "./schema.ts";
import type { IdentitySource, MeshIdentity } from "./snapshot.ts";

const PATH = ["spec", "identity"];
const OF_FILES = ["cert", "key", "trust"] as const;
const OF_CONTROLLER = ["token", "keep", "mesh"] as const;
const NOT_OF_CONTROLLER = ["cert", "key"] as const;

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
  const name = nameInMesh(reader, pair.leaf.raw);
  if (name === null) return null;
  try {
    createSecureContext({ ca: trust.pem });
  } catch (error) {
    const { reason = "unknown reason" } = error as { reason?: string };
    return reader.report("trust", `has what OpenSSL does not take: ${reason}`, null);
  }
  const { certFile, keyFile, cert, key } = pair;
  return { source: { kind: "files", certFile, keyFile, trustFile: trust.file }, identity: { name, cert, key, trust: trust.pem } };
}

/** The name by which peers ask for the certificate's owner and which they find in it; null after a problem. */
function nameInMesh(reader: PemReader, der: Uint8Array): string | null {
  const certificate = readCertificate(der);
  // Chain and trust are the peers' to judge: theirs are other roots, perhaps.
  const evidence = { certificate, chainLength: 1, verifyCode: null, verifyText: "" };
  const verdicts = (["client", "server"] as const).map((role) => ({ role, verdict: checkPeer(role, evidence) }));
  const refused = verdicts.flatMap(({ role, verdict }) => ("code" in verdict ? [{ role, ...verdict }] : []));
  const [first] = refused;
  if (first !== undefined && refused.length === verdicts.length) {
    return reader.report("cert", `every peer would refuse ([${first.code}]): ${first.detail}`, HINTS[first.code] ?? null);
  }
  if (first !== undefined) {
    reader.report(
      "cert",
      `peers refuse where this proxy is the ${first.role} ([${first.code}]): ${first.detail}`,
      HINTS[first.code] ?? null,
      "warning",
    );
  }
  const good = verdicts.find(({ verdict }) => "identity" in verdict)?.verdict;
  if (certificate === null || good === undefined || !("identity" in good)) return null;
  const name = identityName(good.identity);
  if (certificate.names.dns.length > 0) return name;
  const hint = `issue it with the DNS name beside the URI, for example ${name}`;
  return reader.report("cert", "has a URI and no DNS name, by which other proxies could ask for it", hint);
}

const HINTS: Readonly<Record<string, string>> = {
  WEFT_PEER_IDENTITY:
    "issue it with exactly one DNS name such as web.shop.serviceaccount.identity.weft.cluster.local, and at most the spiffe:// URI that says the same",
  WEFT_PEER_WEAK_KEY: "make it anew with a P-256 key",
  WEFT_PEER_PURPOSE: "issue it with the extended key usages serverAuth and clientAuth, or without that extension",
};
