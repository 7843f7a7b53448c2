// `weft identity [HOST:PORT ...]`: the certificates that proxies show, taken by dialling them, and whether a proxy of the mesh would believe them.
//
// A proxy shows its certificate only to who asks for it by its own name (SNI). The name is given by --name, or learned from the proxy's admin port;
// what needs no name (the identity component) is dialled without.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { parseHostPort } from "../config/address.ts";
import type { HostPort } from "../config/snapshot.ts";
import { type ExpectedPeer, expectPeer } from "../core/identity/peer-check.ts";
import { AdminProblem, askStatus } from "./diagnostics-admin.ts";
import {
  certificateLines,
  type CertificateDescription,
  describeCertificate,
  fingerprintOf,
  identityOf,
  printable,
} from "./identity-certificate.ts";
import { DialProblem, dialShown, dialVerified, type Shown, type Verdict } from "./identity-dial.ts";
import { FAILURE, printJson } from "./output-format.ts";
import type { OutputFormat } from "./output-format.ts";

export interface IdentityShowOptions {
  readonly name?: string;
  readonly admin?: string;
  readonly trust?: string;
  readonly data?: string;
  readonly pem?: boolean;
  readonly output: OutputFormat;
}

/** A word where an address is expected may be a command that was mistyped. */
const COMMANDS = "rotate, recover, token";

const MESH_PORT = 4143;
const ADDRESS = `127.0.0.1:${MESH_PORT}`;
const ADMIN_PORT = 4191;

/** Proxies dialled at once. */
const DIALS_MAX = 16;
/** Bytes of a trust bundle: eight roots have some 6 KB. */
const TRUST_BYTES_MAX = 1024 * 1024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

interface Trust {
  readonly file: string;
  /** PEM each. */
  readonly roots: readonly string[];
}

interface Found {
  readonly address: string;
  /** The name that was asked for; null: none. */
  readonly serverName: string | null;
  readonly shown: Shown;
  /** Null: no roots were given. */
  readonly verdict: Verdict | null;
  readonly rootFingerprint: string | null;
}

type Outcome = Found | { readonly address: string; readonly problem: string };

/** Resolves to the exit code: 0 when every address showed a certificate of the mesh, and, with roots, a good one; else 1. */
export async function runIdentityShow(addresses: readonly string[], options: IdentityShowOptions): Promise<number> {
  const wanted = addresses.length === 0 ? [ADDRESS] : addresses;
  let trust: Trust | null;
  let places: readonly HostPort[];
  let expected: ExpectedPeer | null;
  try {
    if (options.pem === true && options.output === "json") throw new RangeError("--pem and -o json exclude each other");
    if (options.admin !== undefined && wanted.length > 1) throw new RangeError("--admin is one proxy's: name one address beside it");
    places = wanted.map((text) => placeOf(text, "address"));
    expected = expectedOf(options.name);
    trust = readTrust(options);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`weft identity: ${error.message}\n`);
    return FAILURE;
  }
  const outcomes: Outcome[] = [];
  for (let from = 0; from < places.length; from += DIALS_MAX) {
    const batch = wanted.slice(from, from + DIALS_MAX);
    outcomes.push(...(await Promise.all(batch.map((text, i) => look(text, places[from + i]!, expected, trust, options)))));
  }
  const nowMs = Date.now();
  if (options.output === "json") printJson(outcomes.map((outcome) => jsonOf(outcome, trust, nowMs)));
  else
    for (const [i, outcome] of outcomes.entries()) print(outcome, `(${i + 1} of ${outcomes.length})`, trust, nowMs, options.pem === true);
  return outcomes.every(isGood) ? 0 : FAILURE;
}

function isGood(outcome: Outcome): boolean {
  if ("problem" in outcome) return false;
  return outcome.verdict === null ? "identity" in identityOf(outcome.shown.chain[0]!) : outcome.verdict.isTrusted;
}

async function look(
  text: string,
  place: HostPort,
  expected: ExpectedPeer | null,
  trust: Trust | null,
  { admin }: IdentityShowOptions,
): Promise<Outcome> {
  try {
    if (expected !== null) return await dial(text, place, expected.serverName, expected, trust);
    const learned = await learnName(place, admin);
    if ("name" in learned) return await dialLearned(text, place, learned.name, trust);
    if (admin !== undefined) return { address: text, problem: `its name is not known: ${learned.problem}` };
    try {
      return await dial(text, place, null, null, trust);
    } catch (error) {
      if (!(error instanceof DialProblem) || !error.isAboutName) throw error;
      const hint = `it was asked for without a name (${learned.problem}); a proxy of the mesh answers to its own only: give --name IDENTITY, or --admin HOST:PORT`;
      return { address: text, problem: `${error.message}; ${hint}` };
    }
  } catch (error) {
    if (error instanceof DialProblem) return { address: text, problem: error.message };
    throw error;
  }
}

/** A name from the wrong admin port is as good as none. */
async function dialLearned(text: string, place: HostPort, name: string, trust: Trust | null): Promise<Outcome> {
  try {
    return await dial(text, place, name, expectPeer(name), trust);
  } catch (error) {
    if (!(error instanceof DialProblem) || !error.isAboutName) throw error;
    const hint = `it was asked for as ${name}, as the proxy behind the admin port is called; if that is another one, give --name IDENTITY, or --admin HOST:PORT`;
    return { address: text, problem: `${error.message}; ${hint}` };
  }
}

async function dial(
  address: string,
  place: HostPort,
  serverName: string | null,
  expected: ExpectedPeer | null,
  trust: Trust | null,
): Promise<Found> {
  if (trust === null) return { address, serverName, shown: await dialShown(place, serverName), verdict: null, rootFingerprint: null };
  const { shown, verdict } = await dialVerified(place, serverName, trust.roots, expected);
  return { address, serverName, shown, verdict, rootFingerprint: rootOf(shown.chain, trust.roots) };
}

/** What the proxy beside this port says it is called. */
async function learnName({ host }: HostPort, admin: string | undefined): Promise<{ readonly name: string } | { readonly problem: string }> {
  const place = admin === undefined ? { host, port: ADMIN_PORT } : placeOf(admin, "admin");
  try {
    const { identity } = await askStatus(place);
    if (identity === null) return { problem: "by its admin port that proxy has no identity" };
    return identity.name === null ? { problem: "by its admin port that proxy does not know its name yet" } : { name: identity.name };
  } catch (error) {
    if (!(error instanceof AdminProblem)) throw error;
    return { problem: error.message };
  }
}

function placeOf(text: string, what: "address" | "admin"): HostPort {
  const result = parseHostPort(text, "target", what === "admin" ? ADMIN_PORT : MESH_PORT);
  if ("ok" in result) return result.ok;
  const { message } = result.mistake;
  const hint = what === "address" && /^[a-z-]+$/.test(text) ? `or one of the commands ${COMMANDS}?` : result.mistake.hint;
  throw new RangeError(`${what === "admin" ? "--admin: " : ""}${JSON.stringify(text)}: ${message}${hint === null ? "" : `; ${hint}`}`);
}

function expectedOf(name: string | undefined): ExpectedPeer | null {
  if (name === undefined) return null;
  const expected = expectPeer(name);
  if (expected !== null) return expected;
  const example = "web.shop.serviceaccount.identity.weft.cluster.local";
  throw new RangeError(
    `--name: ${JSON.stringify(name)} is no identity; expected one such as ${example}, or spiffe://cluster.local/ns/shop/sa/web`,
  );
}

function readTrust({ trust, data }: IdentityShowOptions): Trust | null {
  if (trust !== undefined && data !== undefined) throw new RangeError("--trust and --data exclude each other: either names the roots");
  const file = trust ?? (data === undefined ? undefined : join(data, "bundle.pem"));
  if (file === undefined) return null;
  let text: string;
  try {
    if (statSync(file).size > TRUST_BYTES_MAX)
      throw new RangeError(`${file} has more than ${TRUST_BYTES_MAX} bytes: it is no trust bundle`);
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new RangeError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const roots = text.match(CERTIFICATE) ?? [];
  if (roots.length === 0 || !roots.every(isCertificate))
    throw new RangeError(`${file} is no trust bundle: it must hold certificates in PEM`);
  return { file, roots };
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

/** Fingerprint of the root that is in the chain, or has issued one of it. */
function rootOf(chain: readonly X509Certificate[], roots: readonly string[]): string | null {
  const isRoot = (root: X509Certificate): boolean => chain.some((it) => it.fingerprint256 === root.fingerprint256 || isIssuedBy(it, root));
  const root = roots.map((pem) => new X509Certificate(pem)).find(isRoot);
  return root === undefined ? null : fingerprintOf(root);
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function jsonOf(outcome: Outcome, trust: Trust | null, nowMs: number): object {
  if ("problem" in outcome) return { address: outcome.address, error: outcome.problem };
  const { address, serverName, shown, verdict, rootFingerprint } = outcome;
  const { chain, protocol, cipher, alpn } = shown;
  const owner = identityOf(chain[0]!);
  return {
    address,
    serverName,
    ...("identity" in owner ? owner : { identity: null, spiffeId: null, identityProblem: owner.problem }),
    protocol,
    cipher,
    alpn,
    verified:
      verdict === null
        ? null
        : { ok: verdict.isTrusted, reason: verdict.isTrusted ? null : verdict.reason, trust: trust!.file, root: rootFingerprint },
    chain: chain.map((certificate): CertificateDescription => describeCertificate(certificate, nowMs)),
  };
}

function print(outcome: Outcome, position: string, trust: Trust | null, nowMs: number, asPem: boolean): void {
  if ("problem" in outcome) {
    process.stderr.write(`weft identity: ${outcome.address}: ${printable(outcome.problem)}\n`);
    return;
  }
  const { address, shown, verdict } = outcome;
  const bad = badness(outcome);
  if (bad !== null) process.stderr.write(`weft identity: ${address}: ${printable(bad)}\n`);
  const heading = `PROXY ${address} ${position}\n`;
  // Text between certificates is left alone by whoever reads PEM.
  if (asPem) process.stdout.write(`# ${heading}${shown.chain.map((certificate) => certificate.toString()).join("")}`);
  else process.stdout.write(`${heading}\n${textOf(outcome, verdict, trust, nowMs)}\n\n`);
}

function badness({ shown, verdict }: Found): string | null {
  if (verdict !== null) return verdict.isTrusted ? null : `what it shows does not verify: ${verdict.reason}`;
  const owner = identityOf(shown.chain[0]!);
  return "identity" in owner ? null : `it shows a certificate that is nobody's in the mesh: ${owner.problem}`;
}

function textOf({ shown, rootFingerprint }: Found, verdict: Verdict | null, trust: Trust | null, nowMs: number): string {
  const { chain, protocol, cipher, alpn } = shown;
  const owner = identityOf(chain[0]!);
  const identity = "identity" in owner ? owner.identity : `none: ${printable(owner.problem)}`;
  const verified =
    verdict === null
      ? "not asked for: --trust FILE or --data FOLDER gives the roots"
      : verdict.isTrusted
        ? `yes, by ${trust!.file}${rootFingerprint === null ? "" : `, root ${rootFingerprint}`}`
        : `NO: ${printable(verdict.reason)}`;
  const lines = [
    `Identity:  ${identity}`,
    ...("identity" in owner ? [`SPIFFE ID: ${owner.spiffeId}`] : []),
    `Protocol:  ${[protocol, cipher, ...(alpn === null ? [] : [`ALPN ${alpn}`])].join(", ")}`,
    `Verified:  ${verified}`,
  ];
  for (const [i, certificate] of chain.entries()) {
    const next = chain[i + 1];
    const gap = next === undefined || isIssuedBy(certificate, next) ? "" : " (NOT ISSUED BY THE NEXT ONE)";
    lines.push(`Certificate ${i + 1} of ${chain.length}${gap}`, ...certificateLines(describeCertificate(certificate, nowMs), nowMs));
  }
  return lines.join("\n");
}
