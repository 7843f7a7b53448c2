// A proxy's side of the identity component, written for tests: requests made with @peculiar/x509, calls over Connect's gRPC client.

import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import * as x509 from "@peculiar/x509";
import { Identity } from "../../../src/api/linkerd/identity_pb.ts";
import { Trust } from "../../../src/api/weft/identity_pb.ts";
import { parseIdentityName, spiffeUri } from "../../../src/core/identity/names.ts";

export const WEB = "web.shop.serviceaccount.identity.weft.cluster.local";
export const DB = "db.shop.serviceaccount.identity.weft.cluster.local";
export const SERVER = "identity.weft.serviceaccount.identity.weft.cluster.local";

const ALGORITHMS = {
  "P-256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  "P-384": { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  "P-521": { name: "ECDSA", namedCurve: "P-521", hash: "SHA-512" },
  "RSA-1024": { name: "RSASSA-PKCS1-v1_5", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
  "RSA-2048": { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
  Ed25519: { name: "Ed25519" },
} as const;

export type KeyKind = keyof typeof ALGORITHMS;

export async function makeKeys(kind: KeyKind = "P-256"): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHMS[kind], true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

export interface RequestOptions {
  readonly kind?: KeyKind;
  readonly keys?: webcrypto.CryptoKeyPair;
  /** Signs in place of its own key. */
  readonly signingKeys?: webcrypto.CryptoKeyPair;
  readonly hash?: string;
  readonly commonName?: string | null;
  readonly names?: readonly { readonly type: "dns" | "url" | "ip" | "email"; readonly value: string }[];
  readonly extensions?: readonly x509.Extension[];
}

/** Both names of the identity, as a good request has them. */
export function namesOf(identity: string): { type: "dns" | "url"; value: string }[] {
  return [
    { type: "dns", value: identity },
    { type: "url", value: spiffeUri(parseIdentityName(identity)!) },
  ];
}

export interface SignedRequest {
  readonly der: Uint8Array;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** A certificate request, good unless the options make it bad. */
export async function makeRequest(identity: string, options: RequestOptions = {}): Promise<SignedRequest> {
  const { kind = "P-256", commonName = identity, names = namesOf(identity), extensions = [], hash } = options;
  const keys = options.keys ?? (await makeKeys(kind));
  const signer = options.signingKeys?.privateKey ?? keys.privateKey;
  const algorithm = ALGORITHMS[kind];
  const san = names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])];
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    ...(commonName !== null && { name: [{ CN: [commonName] }] }),
    keys: { publicKey: keys.publicKey, privateKey: signer },
    signingAlgorithm: { name: algorithm.name, hash: hash ?? ("hash" in algorithm ? algorithm.hash : "SHA-256") },
    extensions: [...san, ...extensions],
  });
  return { der: new Uint8Array(request.rawData), keys };
}

export async function keyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return `-----BEGIN PRIVATE KEY-----\n${der
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n")}\n-----END PRIVATE KEY-----\n`;
}

export interface Connection {
  readonly identity: Client<typeof Identity>;
  readonly trust: Client<typeof Trust>;
  close(): void;
}

export interface ConnectOptions {
  readonly port: number;
  /** PEM: the roots. */
  readonly ca: string;
  /** Client certificate and key, PEM. */
  readonly cert?: string;
  readonly key?: string;
}

/** One HTTP/2 connection, verified against the roots and the component's name. */
export function connect({ port, ca, cert, key }: ConnectOptions): Connection {
  const baseUrl = `https://127.0.0.1:${port}`;
  const nodeOptions = {
    ca,
    servername: SERVER,
    minVersion: "TLSv1.3",
    ...(cert !== undefined && key !== undefined && { cert, key }),
  } as const;
  const sessionManager = new Http2SessionManager(baseUrl, {}, nodeOptions);
  const transport = createGrpcTransport({ baseUrl, sessionManager });
  return { identity: createClient(Identity, transport), trust: createClient(Trust, transport), close: () => sessionManager.abort() };
}

export interface Certified {
  readonly leaf: X509Certificate;
  readonly intermediates: readonly X509Certificate[];
  readonly validUntilMs: number;
  /** Leaf and intermediates, and the key: what a client offers for its renewal. */
  readonly cert: string;
  readonly key: string;
}

/** Certifies the identity with a good request of its own, or with the one given. */
export async function certify(connection: Connection, identity: string, token: string, request?: SignedRequest): Promise<Certified> {
  const { der, keys } = request ?? (await makeRequest(identity));
  const answer = await connection.identity.certify({ identity, token: Buffer.from(token), certificateSigningRequest: der });
  const leaf = new X509Certificate(answer.leafCertificate);
  const intermediates = answer.intermediateCertificates.map((raw) => new X509Certificate(raw));
  const cert = [leaf, ...intermediates].map((certificate) => certificate.toString()).join("");
  return { leaf, intermediates, validUntilMs: Number(answer.validUntil!.seconds) * 1000, cert, key: await keyPem(keys) };
}
