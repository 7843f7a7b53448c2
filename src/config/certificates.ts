// Certificates of listeners: PEM files to what a worker needs. What is refused, and how it is told: pem-files.ts.

import { PemReader } from "./pem-files.ts";
import type { Path } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import type { CertificateSnapshot, ListenerTls } from "./snapshot.ts";

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface CompiledTls {
  readonly tls: ListenerTls;
  readonly certificate: CertificateSnapshot;
}

/** Reads and checks the two files that `path` (a `tls` key) names; null after at least one problem. */
export function compileTls(context: ProxyContext, listener: string, path: Path, files: TlsFiles | undefined): CompiledTls | null {
  if (files === undefined) return null;
  const pair = new PemReader(context, path, { ...files }).pair();
  if (pair === null) return null;
  const { certFile, keyFile, leaf, cert, key } = pair;
  const { subject, subjectAltName, fingerprint256, validTo } = leaf;
  return {
    tls: {
      certFile,
      keyFile,
      subject: subject ?? "",
      names: subjectAltName ?? "",
      fingerprint: fingerprint256,
      notAfter: new Date(validTo).toISOString(),
    },
    certificate: { listener, cert, key },
  };
}
