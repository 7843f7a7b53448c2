// What a running proxy tells of its identity to whoever asks its admin port: whose certificate it has, until when, whom it trusts, what failed last.
//
// Certificates are public; the key is in none of this, nor a token. Times are by the proxy's own clock.

import type { X509Certificate } from "node:crypto";
import { formatHostPort } from "../../config/address.ts";
import type { IdentitySource, MeshIdentity } from "../../config/snapshot.ts";
import type { IdentityProgress } from "./identity-client.ts";
import { certificatesOf } from "./issued-certificate.ts";

/** Plain data for JSON; times in ISO 8601. */
export interface IdentityStatus {
  /** The identity, as far as it is known: of the certificate, else of the token. */
  readonly name: string | null;
  /** `waiting`: no certificate yet. `ended`: the one in use is over. */
  readonly state: "waiting" | "valid" | "ended";
  readonly source: IdentitySource["kind"];
  /** `host:port` of the identity component. */
  readonly controller: string | null;
  /** The stream of the trust bundle is open; null without a component. */
  readonly isControllerReached: boolean | null;
  readonly certificate: {
    readonly issuer: string;
    readonly serialNumber: string;
    /** SHA-256 of the DER. */
    readonly fingerprint: string;
    readonly notBefore: string;
    readonly notAfter: string;
  } | null;
  readonly roots: readonly { readonly subject: string; readonly fingerprint: string; readonly notAfter: string }[];
  /** Of the trust bundle. */
  readonly trustVersion: number | null;
  /** When the certificate was received. */
  readonly receivedAt: string | null;
  /** When the next one is asked for; null: now, or never, with files. */
  readonly nextAttemptAt: string | null;
  /** In a row, since the last certificate. */
  readonly failedAttempts: number;
  readonly lastFailure: { readonly at: string; readonly reason: string; readonly message: string } | null;
}

/** Null: the proxy is in no mesh. `used`: what its workers have; `progress`: of its identity client, if it has one; `now`: milliseconds since 1970. */
export function identityStatus(
  source: IdentitySource | undefined,
  used: MeshIdentity | null,
  progress: IdentityProgress | null,
  now: number,
): IdentityStatus | null {
  if (source === undefined) return null;
  const [leaf] = used === null ? [] : certificatesOf(used.cert);
  return {
    name: used?.name ?? progress?.name ?? null,
    state: leaf === undefined ? "waiting" : leaf.validToDate.getTime() <= now ? "ended" : "valid",
    source: source.kind,
    controller: source.kind === "controller" ? formatHostPort(source.controller) : null,
    isControllerReached: source.kind === "controller" ? (progress?.isWatching ?? false) : null,
    certificate: leaf === undefined ? null : describe(leaf),
    roots: used === null ? [] : certificatesOf(used.trust).map(describeRoot),
    trustVersion: progress?.held?.trustVersion ?? null,
    receivedAt: isoTime(progress?.held?.issuedAt ?? null),
    nextAttemptAt: isoTime(progress?.nextAttemptAt ?? null),
    failedAttempts: progress?.failures ?? 0,
    lastFailure: progress?.lastFailure ? { ...progress.lastFailure, at: isoTime(progress.lastFailure.at)! } : null,
  };
}

function describe(certificate: X509Certificate): NonNullable<IdentityStatus["certificate"]> {
  return {
    issuer: oneLine(certificate.issuer),
    serialNumber: certificate.serialNumber.toLowerCase(),
    fingerprint: fingerprintOf(certificate),
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
  };
}

function describeRoot(root: X509Certificate): IdentityStatus["roots"][number] {
  return { subject: oneLine(root.subject), fingerprint: fingerprintOf(root), notAfter: root.validToDate.toISOString() };
}

function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}

/** Without a name it is undefined, whatever the types say. */
function oneLine(name: string | undefined): string {
  return (name ?? "").split("\n").join(", ");
}

function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
