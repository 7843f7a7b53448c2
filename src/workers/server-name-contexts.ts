// Further certificates of a listener, each in a context of its own: the handshake takes the one that has the name which the client asks
// for (core/tcp/server-names.ts). Everything else (ALPN, tickets, versions) is the listener's, whatever the name: sessions are resumed
// within the listener, so every context has its session scope.

import type { SecureContext, SecureContextOptions } from "node:tls";
import { ServerNames } from "../core/tcp/server-names.ts";
import type { NamedCertificate } from "../config/snapshot.ts";

export type ServerNameCallback = (serverName: string, done: (error: Error | null, context?: SecureContext) => void) => void;

/**
 * What a tls.Server takes as SNICallback. Without an answer it stays with its own certificate, which is the first.
 * Throws when a certificate and its key are no pair that OpenSSL takes.
 */
export function serverNameCallback(
  tls: typeof import("node:tls"),
  first: readonly string[],
  others: readonly NamedCertificate[],
  common: SecureContextOptions,
): ServerNameCallback {
  const contexts = others.map(({ cert, key }) => tls.createSecureContext({ ...common, cert, key }));
  const names = new ServerNames([first, ...others.map((other) => other.names)]);
  return (serverName, done) => {
    const index = names.find(serverName);
    if (index === 0) done(null);
    else done(null, contexts[index - 1]);
  };
}
