// Certificates for tests, made on the spot: X.509 v3, written as DER by hand, because npm's tests need no openssl, and because what
// a decent library would refuse to make is what tests of a mesh need: a NUL in a name, no name at all, a key that is too weak.
//
// An authority signs leaves for names and addresses, and further authorities. No serials that matter, no revocation.

import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { removeFolder, temporaryFolder } from "./temporary-folder.ts";

const DAY_MS = 86_400_000;

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** Kinds of keys that leaves may have. */
export type KeyKind = "P-256" | "P-384" | "P-521" | "rsa1024" | "rsa2048" | "ed25519";

export interface LeafOptions {
  /** DNS names, IPv4 addresses, and URIs (what has `://` in it). Empty: no subjectAltName at all. */
  readonly names?: readonly string[];
  /** The subject's common name; absent: the first name. */
  readonly commonName?: string;
  /** Extended key usage; absent: without the extension. */
  readonly usages?: readonly ("server" | "client" | "code")[];
  readonly keyKind?: KeyKind;
  /** Of a request: then the key beside the certificate is not its own. */
  readonly publicKey?: KeyObject;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const value = Buffer.concat(contents);
  const { length } = value;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), value]);
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
}

const sequence = (...contents: readonly Buffer[]): Buffer => tlv(0x30, ...contents);
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, "hex"));
const TRUE = Buffer.from([0x01, 0x01, 0xff]);

const ECDSA_SHA256 = sequence(oid("2a8648ce3d040302"));
const COMMON_NAME = oid("550403");
const SUBJECT_ALT_NAME = oid("551d11");
const BASIC_CONSTRAINTS = oid("551d13");
const EXTENDED_KEY_USAGE = oid("551d25");
const USAGES = { server: oid("2b06010505070301"), client: oid("2b06010505070302"), code: oid("2b06010505070303") } as const;

function nameOf(text: string): Buffer {
  return sequence(tlv(0x31, sequence(COMMON_NAME, tlv(0x0c, Buffer.from(text)))));
}

/** GeneralizedTime. */
function time(date: Date): Buffer {
  return tlv(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`));
}

function altName(name: string): Buffer {
  if (name.includes("://")) return tlv(0x86, Buffer.from(name));
  return isIP(name) === 4 ? tlv(0x87, Buffer.from(name.split(".").map(Number))) : tlv(0x82, Buffer.from(name));
}

interface Parts {
  readonly serial: number;
  readonly issuer: string;
  readonly subject: string;
  readonly extensions: readonly Buffer[];
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

function certificate(parts: Parts): string {
  const tbs = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.from([0x01, parts.serial >> 8, parts.serial & 0xff])),
    ECDSA_SHA256,
    nameOf(parts.issuer),
    sequence(time(parts.notBefore), time(parts.notAfter)),
    nameOf(parts.subject),
    parts.publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, sequence(...parts.extensions)),
  );
  const signature = sign("sha256", tbs, parts.signer);
  const der = sequence(tbs, ECDSA_SHA256, tlv(0x03, Buffer.from([0]), signature));
  const lines = der.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function makeKeys(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === "ed25519") return generateKeyPairSync("ed25519");
  if (kind === "rsa1024" || kind === "rsa2048") return generateKeyPairSync("rsa", { modulusLength: Number(kind.slice(3)) });
  return generateKeyPairSync("ec", { namedCurve: kind });
}

const NO_AUTHORITY = sequence(BASIC_CONSTRAINTS, tlv(0x04, sequence()));
const AUTHORITY = sequence(BASIC_CONSTRAINTS, TRUE, tlv(0x04, sequence(TRUE)));

export class Authority {
  readonly name: string;
  /** PEM: what a client trusts. */
  readonly cert: string;
  /** The certificates between a leaf of this authority and the root, leaf's side first, as PEM; empty for a root. */
  readonly chain: string;
  readonly #key: KeyObject;
  #serial = 1;

  /** @param isAuthority false: it signs, and its own certificate does not allow it to */
  constructor(name = "weft test authority", parent: Authority | null = null, isAuthority = true) {
    this.name = name;
    const { publicKey, privateKey } = makeKeys("P-256");
    this.#key = privateKey;
    const now = Date.now();
    const times = { notBefore: new Date(now - DAY_MS), notAfter: new Date(now + DAY_MS) };
    const parts = { subject: name, extensions: [isAuthority ? AUTHORITY : NO_AUTHORITY], publicKey, ...times };
    this.cert = parent === null ? certificate({ ...parts, serial: this.#serial++, issuer: name, signer: privateKey }) : parent.#sign(parts);
    this.chain = parent === null ? "" : this.cert + parent.chain;
  }

  /** An authority below this one. */
  intermediate(name: string): Authority {
    return new Authority(name, this);
  }

  #sign(parts: Omit<Parts, "serial" | "issuer" | "signer">): string {
    return certificate({ ...parts, serial: this.#serial++, issuer: this.name, signer: this.#key });
  }

  /** A certificate with its key, and with the intermediates behind it. */
  issue(options: LeafOptions = {}): Certificate {
    const {
      names = ["localhost", "127.0.0.1"],
      commonName = names[0] ?? "nobody",
      usages,
      keyKind = "P-256",
      notBefore,
      notAfter,
    } = options;
    const { publicKey, privateKey } = makeKeys(keyKind);
    const extensions = [];
    if (names.length > 0) extensions.push(sequence(SUBJECT_ALT_NAME, tlv(0x04, sequence(...names.map(altName)))));
    if (usages !== undefined) extensions.push(sequence(EXTENDED_KEY_USAGE, tlv(0x04, sequence(...usages.map((usage) => USAGES[usage])))));
    const cert = this.#sign({
      subject: commonName,
      extensions: extensions.length > 0 ? extensions : [NO_AUTHORITY],
      publicKey: options.publicKey ?? publicKey,
      notBefore: notBefore ?? new Date(Date.now() - DAY_MS),
      notAfter: notAfter ?? new Date(Date.now() + DAY_MS),
    });
    return { cert: cert + this.chain, key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
  }
}

/** A leaf that nobody but itself has signed. */
export function selfSigned({ names = [] }: LeafOptions): Certificate {
  const { publicKey, privateKey } = makeKeys("P-256");
  const cert = certificate({
    serial: 1,
    issuer: "itself",
    subject: "itself",
    extensions: [sequence(SUBJECT_ALT_NAME, tlv(0x04, sequence(...names.map(altName))))],
    publicKey,
    signer: privateKey,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
  });
  return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** The same key under a passphrase. */
export function encryptedKey(key: string, passphrase: string): string {
  return createPrivateKey(key).export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }).toString();
}

/** A folder with a certificate and its key in files, as a configuration names them. */
export class CertificateFiles {
  readonly folder: string;
  readonly cert: string;
  readonly key: string;

  constructor(content: Certificate) {
    this.folder = temporaryFolder("weft-cert-");
    this.cert = join(this.folder, "tls.crt");
    this.key = join(this.folder, "tls.key");
    this.write(content);
  }

  /** Puts other content in the files' places. */
  write(content: Certificate): void {
    for (const [path, text] of [
      [this.cert, content.cert],
      [this.key, content.key],
    ] as const) {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    }
  }

  get paths(): { cert: string; key: string } {
    return { cert: this.cert, key: this.key };
  }

  remove(): void {
    removeFolder(this.folder);
  }
}
