// The wire itself, by gRPC's own client: descriptions parsed from the .proto files by another library, calls by another HTTP/2 code.
//
// What a Linkerd proxy sends is this: the same path, the same field numbers, DER.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { makeRequest, SERVER, WEB } from "../support/identity-client.ts";
import { IdentityComponent } from "../support/identity-component.ts";
import { within } from "../../support/wait.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../../src/api/${name}`, import.meta.url));
const definitions = loadSync([path("linkerd/identity.proto"), path("weft/identity.proto")], { keepCase: true, longs: Number });
const Identity = grpc.makeGenericClientConstructor(definitions["io.linkerd.proxy.identity.Identity"] as grpc.ServiceDefinition, "Identity");
const Trust = grpc.makeGenericClientConstructor(definitions["weft.identity.v1.Trust"] as grpc.ServiceDefinition, "Trust");

interface CertifyResponse {
  readonly leaf_certificate: Buffer;
  readonly intermediate_certificates: readonly Buffer[];
  readonly valid_until: { readonly seconds: number };
}

let component: IdentityComponent;
before(async () => {
  component = await IdentityComponent.start();
});
after(async () => await component.remove());

function open(Service: typeof Identity): grpc.Client {
  const credentials = grpc.credentials.createSsl(Buffer.from(component.bundle));
  const options = { "grpc.ssl_target_name_override": SERVER, "grpc.enable_http_proxy": 0 };
  return new Service(`127.0.0.1:${component.controller.port}`, credentials, options);
}

async function certify(message: object): Promise<CertifyResponse> {
  const client = open(Identity);
  try {
    return await new Promise((resolve, reject) => {
      (client as unknown as Record<string, (message: object, done: (error: Error | null, answer: CertifyResponse) => void) => void>)[
        "Certify"
      ]!(message, (error, answer) => (error === null ? resolve(answer) : reject(error)));
    });
  } finally {
    client.close();
  }
}

test("Certify by gRPC's own client: DER in, DER out, the leaf's end in seconds", async () => {
  const { der } = await makeRequest(WEB);
  const token = Buffer.from(await component.token());
  const answer = await certify({ identity: WEB, token, certificate_signing_request: Buffer.from(der) });
  const leaf = new X509Certificate(answer.leaf_certificate);
  const issuer = new X509Certificate(answer.intermediate_certificates[0]!);
  assert.ok(leaf.verify(issuer.publicKey));
  assert.equal(answer.valid_until.seconds * 1000, Date.parse(leaf.validTo));
});

const REFUSED: readonly (readonly [string, object, grpc.status, RegExp])[] = [
  ["nothing", {}, grpc.status.INVALID_ARGUMENT, /^3 INVALID_ARGUMENT: \[WEFT_IDENTITY_NAME\]/],
  ["a token that is none", { identity: WEB, token: Buffer.from("x") }, grpc.status.INVALID_ARGUMENT, /\[WEFT_IDENTITY_TOKEN_MALFORMED\]/],
  ["no proof", { identity: WEB }, grpc.status.FAILED_PRECONDITION, /^9 FAILED_PRECONDITION: \[WEFT_IDENTITY_NO_PROOF\]/],
];

for (const [what, message, status, text] of REFUSED) {
  test(`a request with ${what} gets the status of the table, and the code in its message`, async () => {
    await assert.rejects(certify(message), (error: grpc.ServiceError) => error.code === status && text.test(error.message));
  });
}

test("Watch by gRPC's own client: the bundle at once, and the next one after a rotation", async () => {
  const client = open(Trust);
  const call = (client as unknown as Record<string, (message: object) => grpc.ClientReadableStream<{ roots: Buffer[]; version: number }>>)[
    "Watch"
  ]!({});
  const ended = new Promise((resolve) => call.once("error", resolve));
  const bundles = call[Symbol.asyncIterator]();
  const first = (await within("the first bundle", bundles.next())).value;
  assert.equal(first.roots.length, 1);
  assert.equal((await component.admin("POST", "/identity/rotate?what=root", "", component.authorization)).status, 200);
  const second = (await within("the second bundle", bundles.next())).value;
  assert.equal(second.roots.length, 2);
  assert.ok(second.version > first.version);
  assert.ok(first.roots[0].equals(second.roots[0]));
  call.cancel();
  await ended;
  client.close();
});
