// Identities of two proxies of a mesh, as files that a configuration names.

import { Authority, CertificateFiles } from "./certificates.ts";
import type { ProxyOptions } from "./proxy-config.ts";

const NAMESPACE = "shop.serviceaccount.identity.weft.cluster.local";
export const CLIENT_NAME = `client.${NAMESPACE}`;
export const SERVER_NAME = `server.${NAMESPACE}`;

/** Two identities of one authority, in files. */
export class MeshFiles {
  readonly client: NonNullable<ProxyOptions["identity"]>;
  readonly server: NonNullable<ProxyOptions["identity"]>;
  readonly #files: CertificateFiles[];

  constructor() {
    const authority = new Authority();
    const trust = new CertificateFiles({ cert: authority.cert, key: "" });
    const client = new CertificateFiles(authority.issue({ names: [CLIENT_NAME] }));
    const server = new CertificateFiles(authority.issue({ names: [SERVER_NAME] }));
    this.#files = [trust, client, server];
    this.client = { cert: client.cert, key: client.key, trust: trust.cert };
    this.server = { cert: server.cert, key: server.key, trust: trust.cert };
  }

  remove(): void {
    for (const files of this.#files) files.remove();
  }
}
