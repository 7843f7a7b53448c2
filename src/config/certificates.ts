// Certificates of listeners: PEM files to what a worker needs. What is refused, and how it is told: pem-files.ts.
//
// A `tls` key has one pair of files or a list of them. Of a list clients get the certificate that has the name they ask for, else the first.
// A name in two certificates, and one behind the first without any name, are warnings: somebody expects them to be used. Keys of different
// kinds in one list are refused: Node puts the chosen certificate beside the first one, in the slot of its kind, and OpenSSL
// then answers with whichever kind the client likes better, the wrong name included.

import type { X509Certificate } from "node:crypto";
import { PemReader } from "./pem-files.ts";
import { formatPath } from "./problem.ts";
import type { Path } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import type { CertificateSnapshot, ListenerTls, NamedCertificate, TlsCertificate } from "./snapshot.ts";

/** Certificates of one listener. Each is some 50 KB in every worker. */
export const LISTENER_CERTIFICATES_MAX = 256;

/** A DNS name in a certificate, as Node prints it; names with anything unusual are quoted there, and nobody can ask for them. */
const DNS_NAME = /(?:^|, )DNS:([A-Za-z0-9*._-]+)(?=, |$)/g;

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface CompiledTls {
  readonly tls: ListenerTls;
  readonly certificate: CertificateSnapshot;
}

interface Pair {
  readonly shown: TlsCertificate;
  readonly named: NamedCertificate;
}

/** Reads and checks the files that `path` (a `tls` key) names; null after at least one error, and where there are none. */
export function compileTls(
  context: ProxyContext,
  listener: string,
  path: Path,
  files: TlsFiles | readonly TlsFiles[] | undefined,
): CompiledTls | null {
  if (files === undefined) return null;
  const list = "cert" in files ? [files] : files;
  if (list.length === 0 || list.length > LISTENER_CERTIFICATES_MAX) {
    const message = `${formatPath(path)} has ${list.length} certificates`;
    const hint = list.length === 0 ? "leave tls out for plain connections" : `${LISTENER_CERTIFICATES_MAX} at most: use wildcards`;
    context.problems.push(context.document.problemAt(path, "value", "error", message, hint));
    return null;
  }
  const places = new Map<string, string>();
  const pairs: Pair[] = [];
  let firstKind: string | null = null;
  for (const [index, entry] of list.entries()) {
    const place = "cert" in files ? path : [...path, index];
    const reader = new PemReader(context, place, { ...entry });
    const pair = reader.pair();
    if (pair === null) continue;
    const { certFile, keyFile, leaf, cert, key } = pair;
    const kind = kindOf(leaf);
    firstKind ??= kind;
    if (kind !== firstKind) {
      reader.report("key", `is an ${kind} key, and the first of the list an ${firstKind} one`, "use one kind, or listeners of their own");
      continue;
    }
    const names = namesOf(leaf);
    pairs.push({ shown: { certFile, keyFile, ...describe(leaf) }, named: { names, cert, key } });
    if (index > 0 && names.length === 0) {
      reader.report("cert", "has no DNS name among its subject alternative names", "no client will get it", "warning");
    }
    const twice = names.find((name) => places.has(name));
    if (twice !== undefined)
      reader.report("cert", `has ${twice}, as ${places.get(twice)} has`, "clients get the first of the two", "warning");
    for (const name of names) if (!places.has(name)) places.set(name, formatPath(place));
  }
  const [first, ...others] = pairs;
  if (first === undefined || pairs.length < list.length) return null;
  return {
    tls: { ...first.shown, ...(others.length > 0 && { others: others.map(({ shown }) => shown) }) },
    certificate: { listener, ...first.named, others: others.map(({ named }) => named) },
  };
}

/** `RSA`, `EC`, `ED25519`: OpenSSL has one place for each. */
function kindOf({ publicKey }: X509Certificate): string {
  return (publicKey.asymmetricKeyType ?? "unknown").toUpperCase();
}

function describe({ subject, subjectAltName, fingerprint256, validTo }: X509Certificate): Omit<TlsCertificate, "certFile" | "keyFile"> {
  return {
    subject: subject ?? "",
    names: subjectAltName ?? "",
    fingerprint: fingerprint256,
    notAfter: new Date(validTo).toISOString(),
  };
}

function namesOf({ subjectAltName }: X509Certificate): readonly string[] {
  return [...new Set([...(subjectAltName ?? "").matchAll(DNS_NAME)].map(([, name = ""]) => name.toLowerCase()))];
}
