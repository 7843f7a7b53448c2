// What a mesh needs to know of a peer's certificate, read from its DER (RFC 5280 section 4.1): names, purposes, key.
//
// Read from the bytes and not from a library's text, because texts joined of names can be forged by names. Refused: what is not DER, an
// extension given twice, alternative names that are empty or behind something. Whether the certificate is valid (chain, time, signature)
// is OpenSSL's to say; what is read here is only ever used beside its verdict.

import { DerReader } from "./der.ts";
import type { AltNames } from "./peer-identity.ts";

/** The kinds of keys that prove an identity, as RFC 8446 section 9.1 and Linkerd have them; anything else is `other`. */
export type PeerKey = "P-256" | "P-384" | "Ed25519" | "RSA" | "other";

export interface PeerCertificate {
  readonly names: AltNames;
  readonly key: PeerKey;
  /** Of an RSA modulus, else 0. */
  readonly keyBits: number;
  /** OIDs of the extended key usage in hexadecimal; null without the extension: any purpose. */
  readonly usages: readonly string[] | null;
}

/** RFC 5280 section 4.2.1.12, the content of the OIDs. */
export const SERVER_AUTH = "2b06010505070301";
export const CLIENT_AUTH = "2b06010505070302";

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OID = 0x06;
const BOOLEAN = 0x01;
const VERSION = 0xa0;
const ISSUER_UNIQUE_ID = 0x81;
const SUBJECT_UNIQUE_ID = 0x82;
const EXTENSIONS = 0xa3;
const DNS_NAME = 0x82;
const URI_NAME = 0x86;

const SUBJECT_ALT_NAME = "551d11";
const EXTENDED_KEY_USAGE = "551d25";
const EC_KEY = "2a8648ce3d0201";
const RSA_KEY = "2a864886f70d010101";
const ED25519_KEY = "2b6570";
const CURVES: Readonly<Record<string, PeerKey>> = { "2a8648ce3d030107": "P-256", "2b81040022": "P-384" };

/** Extensions of a certificate at most; real ones have ten. */
const EXTENSIONS_MAX = 64;
/** Names of a certificate at most: more than one of a kind is refused anyway. */
const NAMES_MAX = 64;

/** The certificate, or null for what is none. */
export function readCertificate(der: Uint8Array): PeerCertificate | null {
  const whole = new DerReader(der);
  const tbs = whole.read(SEQUENCE).read(SEQUENCE);
  tbs.optional(VERSION);
  tbs.read(INTEGER);
  tbs.read(SEQUENCE);
  tbs.read(SEQUENCE);
  tbs.read(SEQUENCE);
  tbs.read(SEQUENCE);
  const { key, bits } = readKey(tbs.read(SEQUENCE));
  tbs.optional(ISSUER_UNIQUE_ID);
  tbs.optional(SUBJECT_UNIQUE_ID);
  const extensions = readExtensions(tbs.optional(EXTENSIONS));
  if (!tbs.isEmpty || !whole.isEmpty) whole.refuse();
  const alternative = extensions.get(SUBJECT_ALT_NAME);
  const names = alternative === undefined ? { dns: [], uris: [], others: 0 } : readNames(alternative.read(SEQUENCE));
  const usage = extensions.get(EXTENDED_KEY_USAGE);
  const usages = usage === undefined ? null : readUsages(usage.read(SEQUENCE));
  return whole.isOk ? { names, key, keyBits: bits, usages } : null;
}

function readKey(info: DerReader): { readonly key: PeerKey; readonly bits: number } {
  const algorithm = info.read(SEQUENCE);
  const kind = algorithm.read(OID).hex();
  const bytes = info.read(BIT_STRING);
  switch (kind) {
    case EC_KEY:
      return { key: algorithm.tag === OID ? (CURVES[algorithm.read(OID).hex()] ?? "other") : "other", bits: 0 };
    case ED25519_KEY:
      return { key: "Ed25519", bits: 0 };
    case RSA_KEY: {
      // Behind the count of unused bits, which is 0.
      bytes.at++;
      return { key: "RSA", bits: bitsOf(bytes.read(SEQUENCE).read(INTEGER)) };
    }
    default:
      return { key: "other", bits: 0 };
  }
}

/** Of a positive INTEGER. */
function bitsOf(integer: DerReader): number {
  let { at } = integer;
  while (at < integer.end && integer.bytes[at] === 0) at++;
  return at === integer.end ? 0 : (integer.end - at) * 8 - Math.clz32(integer.bytes[at]!) + 24;
}

/** The content of each extension's value, by its OID. */
function readExtensions(outer: DerReader | null): Map<string, DerReader> {
  const found = new Map<string, DerReader>();
  if (outer === null) return found;
  const list = outer.read(SEQUENCE);
  if (!outer.isEmpty || list.isEmpty) outer.refuse();
  while (!list.isEmpty) {
    const extension = list.read(SEQUENCE);
    const id = extension.read(OID).hex();
    extension.optional(BOOLEAN);
    const value = extension.read(OCTET_STRING);
    if (!extension.isEmpty || found.has(id) || found.size === EXTENSIONS_MAX) list.refuse();
    found.set(id, value);
  }
  return found;
}

function readNames(list: DerReader): AltNames {
  const dns: string[] = [];
  const uris: string[] = [];
  let others = 0;
  for (let count = 0; !list.isEmpty; count++) {
    if (count === NAMES_MAX) list.refuse();
    const { tag } = list;
    const name = list.next();
    if (tag === DNS_NAME) dns.push(name.text());
    else if (tag === URI_NAME) uris.push(name.text());
    else others++;
  }
  return { dns, uris, others };
}

function readUsages(list: DerReader): readonly string[] {
  const usages: string[] = [];
  while (!list.isEmpty) usages.push(list.read(OID).hex());
  return usages;
}
