// The authority whose root is somebody else's: an issuer with its key, and the roots to trust, in files that an external CA writes.
//
// The files are looked at again at every tick. A set that does not fit together (wrong key, chain that leads to no root, expired, no authority) is
// refused as a whole and reported; the one before stays. A root that proxies should trust early is added to the roots file before
// an issuer below it is put in place: nothing here can know when every proxy has it.

import { createHash, X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import { ROOTS_MAX } from "../../core/identity/rotation.ts";
import type { Authority, AuthorityStatus, Bundle, IdentityLog, Issued } from "./authority.ts";
import { FileProblem, readBounded, readPrivateFile, writePrivateFile } from "./private-files.ts";
import { Refusal } from "./refusal.ts";
import { fingerprintOf, isKeyOf, keyFromPem, makeLeaf } from "./x509.ts";
import type { Signer } from "./x509.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Issuers between leaf and root: more is a mistake, and every handshake would carry them. */
const INTERMEDIATES_MAX = 4;

const VERSION_FILE = "given.json";

export interface GivenFiles {
  /** Roots to trust, PEM, one or several. */
  readonly roots: string;
  /** The issuer's certificate, then what leads to a root, PEM. */
  readonly issuerCert: string;
  readonly issuerKey: string;
}

export interface GivenAuthorityOptions {
  readonly files: GivenFiles;
  /** Where the bundle's version is kept. */
  readonly folder: string;
  readonly leafLifetimeMs: number;
  readonly skewMs: number;
  readonly log: IdentityLog;
  readonly nowMs?: () => number;
}

interface GivenSet {
  readonly signer: Signer;
  readonly intermediates: readonly X509Certificate[];
  readonly root: X509Certificate;
  readonly roots: readonly X509Certificate[];
  /** The earliest end of the chain. */
  readonly notAfterMs: number;
}

export class GivenAuthority implements Authority {
  onChange: () => void = () => {};
  readonly #options: GivenAuthorityOptions;
  readonly #nowMs: () => number;
  #set: GivenSet;
  #bundle: Bundle;
  #seen: string;

  private constructor(options: GivenAuthorityOptions, set: GivenSet, seen: string) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => Date.now());
    this.#set = set;
    this.#seen = seen;
    this.#bundle = this.#versionOf(set.roots);
  }

  /** Rejects with a FileProblem that says which file is wrong, and how. */
  static async open(options: GivenAuthorityOptions): Promise<GivenAuthority> {
    const seen = stampOf(options.files);
    return new GivenAuthority(options, await readSet(options.files, (options.nowMs ?? (() => Date.now()))()), seen);
  }

  get bundle(): Bundle {
    return this.#bundle;
  }

  get status(): AuthorityStatus {
    const roots = this.#bundle.roots.map((root) => ({
      fingerprint: fingerprintOf(root),
      phase: root === this.#set.root ? "active" : "trusted",
      notAfterMs: Date.parse(root.validTo),
      certificate: root.toString(),
    }));
    const { signer, intermediates } = this.#set;
    const chain = [signer.certificate, ...intermediates.filter((one) => one.fingerprint256 !== signer.certificate.fingerprint256)];
    return {
      kind: "given",
      bundleVersion: this.#bundle.version,
      roots,
      issuerNotAfterMs: Date.parse(signer.certificate.validTo),
      issuer: chain.map((one) => one.toString()).join(""),
    };
  }

  async issue(identity: WorkloadIdentity, publicKey: Uint8Array): Promise<Issued> {
    const nowMs = this.#nowMs();
    const { signer, intermediates, root, notAfterMs: chainEndMs } = this.#set;
    const { leafLifetimeMs, skewMs } = this.#options;
    const notAfterMs = Math.min(Math.ceil((nowMs + leafLifetimeMs + skewMs) / 1000) * 1000, chainEndMs);
    if (notAfterMs <= nowMs) throw new Refusal("WEFT_IDENTITY_NOT_READY", "the issuer has expired; put a new one in its file");
    const leaf = await makeLeaf(signer, identity, publicKey, { notBeforeMs: nowMs - skewMs, notAfterMs });
    return { leaf, intermediates, root, notAfterMs: Date.parse(leaf.validTo) };
  }

  async issueOwn(identity: WorkloadIdentity, publicKey: Uint8Array): Promise<Issued> {
    return await this.issue(identity, publicKey);
  }

  async tick(): Promise<void> {
    const { files, log } = this.#options;
    let seen = "";
    try {
      seen = stampOf(files);
      if (seen === this.#seen) return;
      this.#set = await readSet(files, this.#nowMs());
      this.#bundle = this.#versionOf(this.#set.roots);
      log("info", "the issuer was read anew", { version: this.#bundle.version, issuer: fingerprintOf(this.#set.signer.certificate) });
      this.onChange();
    } catch (error) {
      if (seen !== this.#seen)
        log("error", "the issuer's files changed and cannot be used; the ones before stay", { error: (error as Error).message });
    }
    this.#seen = seen;
  }

  async rotate(): Promise<string> {
    throw new Error("the issuer and the roots are given in files: whoever writes them rotates them");
  }

  /** The bundle with the next version if it is another than the one before, also before a restart. */
  #versionOf(roots: readonly X509Certificate[]): Bundle {
    const path = join(this.#options.folder, VERSION_FILE);
    const digest = createHash("sha256").update(roots.map(fingerprintOf).join()).digest("hex");
    const before = readVersion(path);
    if (before.digest === digest) return { roots, version: before.version, atMs: before.atMs };
    const now = { version: before.version + 1, atMs: this.#nowMs(), digest };
    writePrivateFile(path, `${JSON.stringify(now)}\n`);
    return { roots, version: now.version, atMs: now.atMs };
  }
}

function readVersion(path: string): { readonly version: number; readonly atMs: number; readonly digest: string } {
  try {
    const { version, atMs, digest } = JSON.parse(readPrivateFile(path)) as Record<string, unknown>;
    if (typeof version === "number" && Number.isSafeInteger(version) && typeof atMs === "number" && typeof digest === "string")
      return { version, atMs, digest };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { version: 0, atMs: 0, digest: "" };
    if (error instanceof FileProblem) throw error;
  }
  throw new FileProblem(`${path} is damaged; without it proxies could take the bundle for an old one: restore it`);
}

/** Changes when one of the files does. */
function stampOf({ roots, issuerCert, issuerKey }: GivenFiles): string {
  return [roots, issuerCert, issuerKey]
    .map((path) => {
      try {
        const { mtimeMs, ino, size } = statSync(path);
        return `${mtimeMs} ${ino} ${size}`;
      } catch (error) {
        throw new FileProblem(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
      }
    })
    .join();
}

async function readSet(files: GivenFiles, nowMs: number): Promise<GivenSet> {
  const roots = readCertificates(files.roots, ROOTS_MAX);
  const chain = readCertificates(files.issuerCert, INTERMEDIATES_MAX);
  const [certificate] = chain as [X509Certificate, ...X509Certificate[]];
  const pem = readPrivateFile(files.issuerKey);
  let isKey: boolean;
  try {
    isKey = isKeyOf(pem, certificate);
  } catch {
    throw new FileProblem(`${files.issuerKey} has no private key in PEM without a passphrase`);
  }
  if (!isKey) throw new FileProblem(`${files.issuerKey} is not the key of ${files.issuerCert}`);
  const root = rootOf(chain, roots, files);
  const intermediates = chain.filter((other) => other.fingerprint256 !== root.fingerprint256);
  const all = [...intermediates, root];
  for (const one of all) {
    if (!one.ca) throw new FileProblem(`${one.subject} in ${files.issuerCert} or ${files.roots} is no authority (basic constraints)`);
    if (Date.parse(one.validTo) <= nowMs)
      throw new FileProblem(`${one.subject} in ${files.issuerCert} or ${files.roots} expired at ${one.validTo}`);
  }
  const signer = { certificate, key: await keyFromPem(pem) };
  return { signer, intermediates, root, roots, notAfterMs: Math.min(...all.map((one) => Date.parse(one.validTo))) };
}

/** The root that the chain leads to, each certificate signed by the next. */
function rootOf(chain: readonly X509Certificate[], roots: readonly X509Certificate[], files: GivenFiles): X509Certificate {
  for (const [index, certificate] of chain.entries()) {
    const root = roots.find((it) => it.fingerprint256 === certificate.fingerprint256 || isSignedBy(certificate, it));
    if (root !== undefined) return root;
    const next = chain[index + 1];
    if (next !== undefined && !isSignedBy(certificate, next))
      throw new FileProblem(`the certificates in ${files.issuerCert} are no chain: the second must have signed the first, and so on`);
  }
  throw new FileProblem(`the issuer in ${files.issuerCert} leads to no root in ${files.roots}`);
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function readCertificates(path: string, countMax: number): readonly X509Certificate[] {
  let text: string;
  try {
    text = readBounded(path);
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0 || blocks.length > countMax)
    throw new FileProblem(`${path} has ${blocks.length} certificates in PEM; it must have 1 to ${countMax}`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    throw new FileProblem(`${path} has a certificate that cannot be decoded`);
  }
}
