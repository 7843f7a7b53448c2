// The identity component's own certificate: by its own authority, key in memory only, renewed by itself.
//
// It is served with its whole chain, the root included: a client that has only the root's fingerprint (from its token) finds
// the root in what the server sends, and verifies everything else with it.

import type { WorkloadIdentity } from "../../core/identity/names.ts";
import type { Authority } from "./authority.ts";
import { keyToPem, makeKeys } from "./x509.ts";
import { webcrypto } from "node:crypto";

/** Renewed at this part of its life: it costs nobody a call, so earlier than a proxy's. */
const RENEW_AT = 1 / 2;

/** A clock that was set back by more makes a new one: the one that is served begins later than now. */
const SET_BACK_MS = 1_000;

export interface OwnTls {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
  /** The bundle, PEM: whose client certificates are believed. */
  readonly ca: string;
}

export class OwnCertificate {
  readonly #authority: Authority;
  readonly #identity: WorkloadIdentity;
  #notAfterMs = 0;
  #madeAtMs = 0;
  #renewAtMs = 0;
  #bundleVersion = 0;
  #tls: OwnTls | null = null;

  constructor(authority: Authority, identity: WorkloadIdentity) {
    this.#authority = authority;
    this.#identity = identity;
  }

  /** End of the certificate that is served; 0 before the first. */
  get notAfterMs(): number {
    return this.#notAfterMs;
  }

  /** What to serve from now on, if that changed; null otherwise. Rejects when the authority cannot sign. */
  async refresh(nowMs: number): Promise<OwnTls | null> {
    const { bundle } = this.#authority;
    const isGood = nowMs < this.#renewAtMs && nowMs >= this.#madeAtMs - SET_BACK_MS;
    if (this.#tls !== null && isGood && bundle.version === this.#bundleVersion) return null;
    const keys = await makeKeys();
    const publicKey = new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey));
    const { leaf, intermediates, root, notAfterMs } = await this.#authority.issueOwn(this.#identity, publicKey);
    const cert = [leaf, ...intermediates, root].map((certificate) => certificate.toString()).join("");
    this.#tls = { key: await keyToPem(keys.privateKey), cert, ca: bundle.roots.map((it) => it.toString()).join("") };
    this.#notAfterMs = notAfterMs;
    this.#madeAtMs = nowMs;
    this.#renewAtMs = nowMs + (notAfterMs - nowMs) * RENEW_AT;
    this.#bundleVersion = bundle.version;
    return this.#tls;
  }
}
