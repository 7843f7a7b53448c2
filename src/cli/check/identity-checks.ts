// The checks of what the identity component signs with and tells proxies to trust, and of what the proxies have of it.
//
// Judged by the clock here. What replaces itself is not asked for 60 days: its life may be shorter than that, and in its last third the next
// one is made.

import type { X509Certificate } from "node:crypto";
import {
  describe,
  fingerprint,
  isoTime,
  keyProblem,
  lifeOf,
  parseCertificates,
  rootOf,
  signatureProblem,
  timeProblem,
  timeUntil,
} from "./certificates.ts";
import type { Look } from "./mesh-checks.ts";
import type { Mesh, ProxyIdentityFacts } from "./reports.ts";
import { type Check, failureOf, type Outcome, PASSED } from "./run-checks.ts";

/** Whoever replaces a certificate by hand wants to know so long before, as Linkerd says it. */
const BY_HAND_MS = 60 * 86_400_000;
/** With less than this part of its life left, what renews itself at two thirds has failed to. */
const LAST_PART = 1 / 6;
/** At this part of its life the component replaces an issuer of its own (core/identity/rotation.ts). */
const REPLACED_AT = 2 / 3;
/** Of a clock here beside one that a certificate was made by. */
const CLOCK_SLACK_MS = 20_000;

interface Anchor {
  readonly certificate: X509Certificate;
  readonly phase: string;
}

interface Known {
  readonly rotatesItself: boolean;
  readonly anchors: readonly Anchor[];
  /** Of texts that could not be decoded. */
  readonly isWhole: boolean;
  /** The one that signs, then its chain; empty: unknown. */
  readonly issuer: readonly X509Certificate[];
}

export function identityChecks(mesh: Look): Check[] {
  const anchors = (look: (known: Known) => Outcome): (() => Outcome) => {
    return () => {
      const known = knownOf(mesh());
      return known === null ? null : look(known);
    };
  };
  const issuer = (look: (known: Known, issuer: X509Certificate) => Outcome): (() => Outcome) => {
    return anchors((known) => (known.issuer[0] === undefined ? null : look(known, known.issuer[0])));
  };
  return [
    { id: "weft-identity-anchors-crypto", look: anchors(lookAtAnchorKeys) },
    { id: "weft-identity-anchors-valid", look: anchors(lookAtAnchorTimes) },
    { id: "weft-identity-anchors-60-days", look: anchors(lookAtAnchorEnds) },
    { id: "weft-identity-anchors-unique", look: anchors(lookForTwins) },
    {
      id: "weft-identity-issuer-crypto",
      look: issuer((_, it) => failureOf(problemsOf([it], (one) => keyProblem(one) ?? signatureProblem(one)))),
    },
    { id: "weft-identity-issuer-valid", look: issuer((_, it) => failureOf(problemsOf([it], (one) => timeProblem(one, Date.now())))) },
    { id: "weft-identity-issuer-60-days", look: issuer(lookAtIssuerEnd) },
    { id: "weft-identity-issuer-signed", look: issuer(lookAtIssuerChain) },
  ];
}

export function identityDataPlaneChecks(mesh: Look): Check[] {
  return [
    { id: "weft-identity-data-plane-certificates", look: () => lookAtCertificates(mesh()) },
    { id: "weft-identity-data-plane-renewal", look: () => lookAtRenewals(mesh()) },
    { id: "weft-identity-data-plane-issuer", look: () => lookAtIssuers(mesh()) },
    { id: "weft-identity-data-plane-anchors", look: () => lookAtTrust(mesh()) },
    { id: "weft-identity-data-plane-meshed", look: () => lookForStrangers(mesh()) },
  ];
}

function knownOf({ component }: Mesh): Known | null {
  const authority = component?.report.authority ?? null;
  if (authority === null) return null;
  const parsed = authority.anchors.map(({ certificate, phase }) => ({ ...parseCertificates(certificate), phase }));
  return {
    rotatesItself: authority.rotatesItself,
    anchors: parsed.flatMap(({ certificates, phase }) => certificates.map((certificate) => ({ certificate, phase }))),
    isWhole: parsed.length > 0 && parsed.every(({ isWhole }) => isWhole),
    issuer: parseCertificates(authority.issuer).certificates,
  };
}

function problemsOf(certificates: readonly X509Certificate[], problemOf: (one: X509Certificate) => string | null): string[] {
  return certificates.flatMap((one) => {
    const problem = problemOf(one);
    return problem === null ? [] : [`${describe(one)} ${problem}`];
  });
}

function lookAtAnchorKeys({ anchors, isWhole }: Known): Outcome {
  const undecoded = isWhole ? [] : ["there is no trust anchor, or one that cannot be decoded"];
  return failureOf([...undecoded, ...problemsOf(certificatesOf(anchors), keyProblem)]);
}

function lookAtAnchorTimes({ anchors }: Known): Outcome {
  const nowMs = Date.now();
  return failureOf(problemsOf(certificatesOf(anchors), (one) => timeProblem(one, nowMs)));
}

/** Of those that count from now on: one that signs no more leaves by itself. */
function lookAtAnchorEnds({ anchors, rotatesItself }: Known): Outcome {
  const kept = anchors.filter(({ phase }) => phase !== "retired");
  return failureOf(problemsOf(certificatesOf(kept), (one) => endProblem(one, rotatesItself)));
}

/** Null for one that has ended: that is another check's. */
function endProblem(certificate: X509Certificate, rotatesItself: boolean): string | null {
  const { fromMs, toMs } = lifeOf(certificate);
  const lifeMs = toMs - fromMs;
  const leftMs = toMs - Date.now();
  const wantedMs = rotatesItself || lifeMs <= BY_HAND_MS ? lifeMs * LAST_PART : BY_HAND_MS;
  if (leftMs < 0 || leftMs >= wantedMs) return null;
  const late = rotatesItself ? ": its successor is late, look at the component's log" : "";
  return `ends ${timeUntil(leftMs)}, at ${isoTime(toMs)}${late}`;
}

function lookForTwins({ anchors }: Known): Outcome {
  const lines: string[] = [];
  const byName = new Map<string, X509Certificate>();
  for (const { certificate } of anchors) {
    const twin = byName.get(certificate.subject);
    if (twin === undefined) byName.set(certificate.subject, certificate);
    else if (fingerprint(twin) === fingerprint(certificate)) lines.push(`${describe(certificate)} is there twice`);
    else lines.push(`${describe(certificate)} and ${describe(twin)} have one name`);
  }
  return failureOf(lines);
}

function lookAtIssuerEnd({ rotatesItself }: Known, issuer: X509Certificate): Outcome {
  const problem = endProblem(issuer, rotatesItself);
  if (problem !== null) return failureOf([`${describe(issuer)} ${problem}`]);
  const { fromMs, toMs } = lifeOf(issuer);
  const replacedAtMs = fromMs + (toMs - fromMs) * REPLACED_AT;
  const note = rotatesItself ? `it is replaced by itself about ${isoTime(replacedAtMs)}` : `it ends at ${isoTime(toMs)}`;
  return { ok: true, note };
}

function lookAtIssuerChain({ anchors, issuer }: Known): Outcome {
  if (rootOf(issuer, certificatesOf(anchors)) !== null) return PASSED;
  return failureOf([`${describe(issuer[0]!)} leads to none of the trust anchors`]);
}

function certificatesOf(anchors: readonly Anchor[]): X509Certificate[] {
  return anchors.map(({ certificate }) => certificate);
}

interface Member {
  readonly name: string;
  readonly identity: ProxyIdentityFacts;
}

/** Proxies that are to have an identity. */
function membersOf({ proxies }: Mesh): Member[] {
  return proxies.flatMap(({ name, report }) => (report.identity === null ? [] : [{ name, identity: report.identity }]));
}

function lookAtCertificates(mesh: Mesh): Outcome {
  const members = membersOf(mesh);
  if (members.length === 0) return null;
  const nowMs = Date.now();
  return failureOf(
    members.flatMap(({ name, identity: { certificate, state, lastFailure } }) => {
      const why = lastFailure === null ? "" : `; ${lastFailure}`;
      if (certificate === null) return [`${name} has no certificate yet${why}`];
      const { fromMs, toMs } = certificate;
      if (nowMs > toMs || state === "ended") return [`the certificate of ${name} ended at ${isoTime(toMs)}${why}`];
      return nowMs < fromMs - CLOCK_SLACK_MS ? [`the certificate of ${name} is not valid before ${isoTime(fromMs)}`] : [];
    }),
  );
}

function lookAtRenewals(mesh: Mesh): Outcome {
  const nowMs = Date.now();
  const members = membersOf(mesh).filter(({ identity: { certificate } }) => certificate !== null && nowMs <= certificate.toMs);
  if (members.length === 0) return null;
  return failureOf(
    members.flatMap(({ name, identity: { certificate, failedAttempts, lastFailure } }) => {
      const { fromMs, toMs } = certificate!;
      const why = lastFailure === null ? "" : `; ${lastFailure}`;
      if (failedAttempts > 0)
        return [`${name} could not renew its certificate, which ends ${timeUntil(toMs - nowMs)} (${failedAttempts} attempts)${why}`];
      return toMs - nowMs < (toMs - fromMs) * LAST_PART ? [`the certificate of ${name} ends ${timeUntil(toMs - nowMs)}${why}`] : [];
    }),
  );
}

function lookAtIssuers(mesh: Mesh): Outcome {
  const known = knownOf(mesh);
  const [issuer] = known?.issuer ?? [];
  const members = membersOf(mesh).filter(({ identity: { certificate } }) => certificate !== null);
  if (known === null || issuer === undefined || members.length === 0) return null;
  const signing = oneLine(issuer.subject);
  const others = members.filter(({ identity: { certificate } }) => certificate!.issuer !== signing);
  // Since this issuer is there, the component has used no other for proxies. An issuer from a file can be older than its use.
  const foreign = others.filter(({ identity: { certificate } }) => known.rotatesItself && certificate!.fromMs > lifeOf(issuer).fromMs);
  if (foreign.length > 0) {
    return failureOf(
      foreign.map(
        ({ name, identity: { certificate } }) =>
          `the certificate of ${name} is from ${JSON.stringify(certificate!.issuer)}, not from ${JSON.stringify(signing)}`,
      ),
    );
  }
  return others.length === 0
    ? PASSED
    : { ok: true, note: `${others.length} of ${members.length} from an issuer before, until they are renewed` };
}

function lookAtTrust(mesh: Mesh): Outcome {
  const members = membersOf(mesh).filter(({ identity: { anchors } }) => anchors.length > 0);
  if (members.length === 0) return null;
  const known = knownOf(mesh);
  if (known === null || known.anchors.length === 0) return members.length > 1 ? compareProxies(members) : null;
  const anchors = known.anchors.map(({ certificate, phase }) => ({ fingerprint: fingerprint(certificate), certificate, phase }));
  const lines: string[] = [];
  let isError = false;
  for (const { name, identity } of members) {
    const missing = anchors.filter((anchor) => !identity.anchors.includes(anchor.fingerprint));
    const surplus = identity.anchors.filter((one) => anchors.every((anchor) => anchor.fingerprint !== one));
    if (missing.some(({ phase }) => phase === "active") || missing.length === anchors.length) isError = true;
    if (missing.length > 0) lines.push(`${name} does not trust ${missing.map(({ certificate }) => describe(certificate)).join(", ")}`);
    if (surplus.length > 0) lines.push(`${name} trusts what the identity component does not: ${surplus.map(short).join(", ")}`);
  }
  const isShared = members.some(({ identity }) => anchors.some((anchor) => identity.anchors.includes(anchor.fingerprint)));
  if (!isShared) lines.unshift(strangerLine(mesh));
  return failureOf(lines, isError ? "error" : "warning");
}

/** No proxy trusts any of its roots: most likely somebody named the wrong one. */
function strangerLine({ component }: Mesh): string {
  const { name, folder } = component!;
  return `no proxy shares a root with ${folder ?? name}: this may be another mesh's ${folder === undefined ? "identity component" : "folder"}`;
}

/** Without an identity component to ask: proxies beside the first of them. */
function compareProxies([first, ...others]: readonly Member[]): Outcome {
  const wanted = [...first!.identity.anchors].sort().join();
  return failureOf(
    others.flatMap(({ name, identity: { anchors } }) =>
      [...anchors].sort().join() === wanted
        ? []
        : [`${name} trusts ${anchors.map(short).join(", ")}, and ${first!.name} trusts ${first!.identity.anchors.map(short).join(", ")}`],
    ),
  );
}

function lookForStrangers({ proxies }: Mesh): Outcome {
  const answering = proxies.filter(({ report }) => report.problem === null);
  const strangers = answering.filter(({ report }) => report.identity === null);
  if (answering.length === 0 || strangers.length === answering.length) return null;
  return failureOf(strangers.map(({ name }) => `${name} has no identity`));
}

function short(text: string): string {
  return `SHA-256 ${text.slice(0, 16)}...`;
}

/** As a proxy tells of an issuer's name. */
function oneLine(name: string | undefined): string {
  return (name ?? "").split("\n").join(", ");
}
