// The short-lived thread that gets a certificate: here, and only here, a running proxy holds @peculiar/x509 and protobuf.
//
// One request, one answer, then it ends. The order is the safety of it: who the component is has been verified before anything is sent; the
// roots that count are read on that connection; what comes back is checked against them and the key made here before anybody gets to see it.

import { Buffer } from "node:buffer";
import { webcrypto } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import "reflect-metadata";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CertifyRequestSchema, CertifyResponseSchema, Identity } from "../../api/linkerd/identity_pb.ts";
import { Trust, TrustBundleSchema, WatchRequestSchema } from "../../api/weft/identity_pb.ts";
import { pinnedRoot } from "../../core/identity/join-token.ts";
import { parseIdentityName, spiffeUri } from "../../core/identity/names.ts";
import { digestOf } from "./certify-request.ts";
import type { Certified, CertifyRequest, IdentityProof, ThreadAnswer, ThreadRequest, TrustRoots } from "./certify-request.ts";
import { type ComponentPlace, connectComponent, shownChain } from "./component-connection.ts";
import { GrpcConnection } from "./grpc-call.ts";
import { failureOf, foreignText, IdentityError } from "./identity-failure.ts";
import { chainToPem, checkIssued, rootsToPem } from "./issued-certificate.ts";

const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

async function certify({ place, name, proof, clockOffsetMs }: CertifyRequest): Promise<Certified> {
  const roots = proof.kind === "certificate" ? proof.trust : await pinnedRootPem(place, proof.pinned);
  const socket = await connectComponent(place, { roots, ...(proof.kind === "certificate" && { proof }) });
  const connection = new GrpcConnection(socket);
  try {
    const [bundle, made] = await Promise.all([firstBundle(connection), makeRequest(name)]);
    const { trust, trustVersion, trustDigest } = newerRoots(bundle, proof);
    const message = create(CertifyRequestSchema, {
      identity: name,
      token: proof.kind === "token" ? Buffer.from(proof.token, "ascii") : new Uint8Array(),
      certificateSigningRequest: made.request,
    });
    const path = `/${Identity.typeName}/${Identity.method.certify.name}`;
    const bytes = await connection.unary(path, toBinary(CertifyRequestSchema, message));
    const { leafCertificate, intermediateCertificates, validUntil } = decoded(() => fromBinary(CertifyResponseSchema, bytes));
    const cert = chainToPem([leafCertificate, ...intermediateCertificates]);
    const issuedAt = Date.now() + clockOffsetMs;
    const { notAfter } = checkIssued({ name, cert, key: made.key, trust }, issuedAt);
    if (validUntil === undefined) throw new IdentityError("answer", "it does not say until when it is valid");
    const end = Math.min(timestampMs(validUntil), notAfter);
    if (end <= issuedAt) throw new IdentityError("answer", `it ended at ${new Date(end).toISOString()}: compare this host's clock`);
    return { name, cert, key: made.key, trust, trustVersion, trustDigest, issuedAt, validUntil: end, notAfter };
  } finally {
    connection.close();
  }
}

/** The root that the token pins, from what the component shows; nothing is sent to it before that is found. */
async function pinnedRootPem(place: ComponentPlace, pinned: readonly string[]): Promise<string> {
  const root = pinnedRoot(await shownChain(place), { roots: pinned });
  if (root !== null) return root.toString();
  throw new IdentityError(
    "untrusted",
    "it shows none of the roots that the token pins: either it is not the identity component that made the token, or the token is older than the roots; a new token helps then",
  );
}

async function firstBundle(connection: GrpcConnection): Promise<TrustRoots> {
  const path = `/${Trust.typeName}/${Trust.method.watch.name}`;
  return readBundle(await connection.first(path, toBinary(WatchRequestSchema, create(WatchRequestSchema))));
}

function readBundle(message: Uint8Array): TrustRoots {
  const bundle = decoded(() => fromBinary(TrustBundleSchema, message));
  const trustVersion = Number(bundle.version);
  if (!Number.isSafeInteger(trustVersion)) throw new IdentityError("answer", "the trust bundle's version is no number of versions");
  return { trust: rootsToPem(bundle.roots), trustVersion, trustDigest: digestOf(message) };
}

/** With a token the bundle is where trust begins; later an older one than is known is not taken. */
function newerRoots(bundle: TrustRoots, proof: IdentityProof): TrustRoots {
  return proof.kind === "certificate" && proof.trustVersion > bundle.trustVersion ? proof : bundle;
}

/** A new key, as PEM, and the request for it, as DER. */
async function makeRequest(name: string): Promise<{ readonly key: string; readonly request: Uint8Array }> {
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await import("@peculiar/x509");
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
  const identity = parseIdentityName(name);
  if (identity === null) throw new IdentityError("token", `${foreignText(name)} is no identity`);
  const names = new SubjectAlternativeNameExtension([
    { type: "dns", value: name },
    { type: "url", value: spiffeUri(identity) },
  ]);
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: KEY_ALGORITHM, extensions: [names] });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)!.join("\n")}\n-----END PRIVATE KEY-----\n`;
  return { key, request: new Uint8Array(request.rawData) };
}

function decoded<T>(decode: () => T): T {
  try {
    return decode();
  } catch {
    throw new IdentityError("answer", "it is no message of this service");
  }
}

async function answer(request: ThreadRequest): Promise<ThreadAnswer<Certified | TrustRoots>> {
  try {
    return { ok: request.kind === "certify" ? await certify(request) : readBundle(request.message) };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

parentPort?.postMessage(await answer(workerData as ThreadRequest));
