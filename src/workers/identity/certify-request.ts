// What the certifying thread is asked and what it answers: plain data that crosses threads. Secret: keys and tokens are in it.

import { createHash } from "node:crypto";
import type { ComponentPlace } from "./component-connection.ts";
import type { IdentityFailure } from "./identity-failure.ts";

/** What proves the identity: a join token, or the certificate in use, with the roots that the component is verified by. */
export type IdentityProof =
  | { readonly kind: "token"; readonly token: string /** SHA-256 of the roots it pins. */; readonly pinned: readonly string[] }
  | {
      readonly kind: "certificate";
      readonly cert: string;
      readonly key: string;
      readonly trust: string;
      /** Of the bundle in use: an older one is not taken. */
      readonly trustVersion: number;
      readonly trustDigest: string;
    };

export interface CertifyRequest {
  readonly kind: "certify";
  readonly place: ComponentPlace;
  /** The identity that is asked for. */
  readonly name: string;
  readonly proof: IdentityProof;
  /** Added to the system's clock; not 0 in tests only. */
  readonly clockOffsetMs: number;
}

/** A trust bundle as it was received on a verified connection. */
export interface ReadBundleRequest {
  readonly kind: "bundle";
  readonly message: Uint8Array;
}

export interface TrustRoots {
  /** PEM. */
  readonly trust: string;
  readonly trustVersion: number;
  /** Of the message that the bundle came in, by `digestOf`: the same message need not be read again. */
  readonly trustDigest: string;
}

/** A certificate with its key, checked. PEM, milliseconds since 1970. */
export interface Certified extends TrustRoots {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
  /** When it was received. */
  readonly issuedAt: number;
  /** Its end, without the allowance for clocks that differ. */
  readonly validUntil: number;
  /** Its end as it stands in it. */
  readonly notAfter: number;
}

/** SHA-256, hexadecimal. */
export function digestOf(message: Uint8Array): string {
  return createHash("sha256").update(message).digest("hex");
}

export type ThreadRequest = CertifyRequest | ReadBundleRequest;
export type ThreadAnswer<T> = { readonly ok: T } | { readonly failure: IdentityFailure };
