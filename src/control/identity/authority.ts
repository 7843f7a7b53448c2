// What signs certificates, whoever holds the root: Weft itself (kept-authority.ts) or somebody outside (given-authority.ts). Types.

import type { X509Certificate } from "node:crypto";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import type { RotationRequest } from "../../core/identity/rotation.ts";

/** The roots that proxies are to trust, as one version. */
export interface Bundle {
  /** Never empty, at most ROOTS_MAX. */
  readonly roots: readonly X509Certificate[];
  /** Grows with each change, also across restarts. */
  readonly version: number;
  readonly atMs: number;
}

export interface Issued {
  readonly leaf: X509Certificate;
  /** From the leaf's issuer upwards, without the root. */
  readonly intermediates: readonly X509Certificate[];
  readonly root: X509Certificate;
  readonly notAfterMs: number;
}

/** Writes what happened; the fields hold no secret. */
export type IdentityLog = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Readonly<Record<string, string | number | boolean>>,
) => void;

export interface AuthorityStatus {
  readonly kind: "kept" | "given";
  readonly bundleVersion: number;
  /** `certificate`: PEM. */
  readonly roots: readonly {
    readonly fingerprint: string;
    readonly phase: string;
    readonly notAfterMs: number;
    readonly certificate: string;
  }[];
  /** End of the issuer that signs now; 0 without one. */
  readonly issuerNotAfterMs: number;
  /** That issuer, then what leads to a root, PEM; empty without one. */
  readonly issuer: string;
}

export interface Authority {
  readonly bundle: Bundle;
  readonly status: AuthorityStatus;
  /** Signs a leaf for a public key (SPKI, DER). Rejects with Refusal WEFT_IDENTITY_NOT_READY. Who may have it is not asked here. */
  issue(identity: WorkloadIdentity, publicKey: Uint8Array): Promise<Issued>;
  /** The same below the oldest root that proxies still trust: for the identity component's own certificate. */
  issueOwn(identity: WorkloadIdentity, publicKey: Uint8Array): Promise<Issued>;
  /** Does what is due: to be called every now and then. Never rejects; what fails is logged and tried again. */
  tick(): Promise<void>;
  /** Rotates by hand; resolves to what was begun, in words. Rejects with an Error that says why it cannot. */
  rotate(what: RotationRequest): Promise<string>;
  /** Called after each change of the bundle, or of what signs. */
  onChange: () => void;
}
