// Every reason to refuse a peer, by its code, and who is let in.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CLIENT_AUTH, type PeerCertificate, SERVER_AUTH } from "../../../src/core/identity/certificate.ts";
import { CHAIN_LENGTH_MAX, checkPeer, expectPeer, identityMismatch, type PeerEvidence } from "../../../src/core/identity/peer-check.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const URI = "spiffe://cluster.local/ns/shop/sa/web";
const WEB = { account: "web", namespace: "shop", controlNamespace: "weft", trustDomain: "cluster.local" };

const certificate = (parts: Partial<PeerCertificate> = {}): PeerCertificate => ({
  names: { dns: [NAME], uris: [URI], others: 0 },
  key: "P-256",
  keyBits: 0,
  usages: null,
  ...parts,
});
const evidence = (parts: Partial<PeerEvidence> = {}): PeerEvidence => ({
  certificate: certificate(),
  chainLength: 2,
  verifyCode: null,
  verifyText: "",
  ...parts,
});
const withNames = (dns: readonly string[], uris: readonly string[] = [], others = 0): PeerEvidence =>
  evidence({ certificate: certificate({ names: { dns, uris, others } }) });

describe("a peer", () => {
  it("with a certificate that holds its identity is who it says", () => {
    assert.deepEqual(checkPeer("client", evidence()), { identity: WEB });
    assert.deepEqual(checkPeer("server", evidence({ certificate: certificate({ usages: [CLIENT_AUTH, SERVER_AUTH] }) })), {
      identity: WEB,
    });
    assert.deepEqual(checkPeer("client", withNames([], [URI]), "linkerd"), { identity: { ...WEB, controlNamespace: "linkerd" } });
    for (const key of ["P-384", "Ed25519"] as const)
      assert.ok("identity" in checkPeer("client", evidence({ certificate: certificate({ key }) })));
    assert.ok("identity" in checkPeer("client", evidence({ certificate: certificate({ key: "RSA", keyBits: 2048 }) })));
    assert.ok("identity" in checkPeer("client", evidence({ chainLength: CHAIN_LENGTH_MAX })));
  });

  const refused: readonly (readonly [string, string, PeerEvidence, ("client" | "server")?])[] = [
    ["WEFT_PEER_EXPIRED", "expired", evidence({ verifyCode: "CERT_HAS_EXPIRED" })],
    ["WEFT_PEER_NOT_YET_VALID", "early", evidence({ verifyCode: "CERT_NOT_YET_VALID" })],
    ["WEFT_PEER_UNTRUSTED", "another root's", evidence({ verifyCode: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" })],
    ["WEFT_PEER_UNTRUSTED", "self-signed", evidence({ verifyCode: "DEPTH_ZERO_SELF_SIGNED_CERT" })],
    ["WEFT_PEER_UNTRUSTED", "for a reason without a name", evidence({ verifyCode: "UNSPECIFIED", verifyText: "whatever" })],
    ["WEFT_PEER_WEAK_KEY", "with a weak issuer", evidence({ verifyCode: "UNSPECIFIED", verifyText: "CA certificate key too weak" })],
    ["WEFT_PEER_WEAK_KEY", "with a short RSA key", evidence({ certificate: certificate({ key: "RSA", keyBits: 2047 }) })],
    ["WEFT_PEER_WEAK_KEY", "with an unknown key", evidence({ certificate: certificate({ key: "other" }) })],
    ["WEFT_PEER_PURPOSE", "a client that is a server", evidence({ certificate: certificate({ usages: [SERVER_AUTH] }) })],
    ["WEFT_PEER_PURPOSE", "a server that is a client", evidence({ certificate: certificate({ usages: [CLIENT_AUTH] }) }), "server"],
    ["WEFT_PEER_PURPOSE", "with an issuer for something else", evidence({ verifyCode: "INVALID_PURPOSE" })],
    ["WEFT_PEER_CHAIN_TOO_LONG", "with many issuers", evidence({ chainLength: CHAIN_LENGTH_MAX + 1 })],
    ["WEFT_PEER_CHAIN_TOO_LONG", "below an issuer that allows none", evidence({ verifyCode: "PATH_LENGTH_EXCEEDED" })],
    ["WEFT_PEER_IDENTITY", "that cannot be read", evidence({ certificate: null })],
    ["WEFT_PEER_IDENTITY", "without names", withNames([])],
    ["WEFT_PEER_IDENTITY", "with two names", withNames([NAME, NAME])],
    ["WEFT_PEER_IDENTITY", "in capitals", withNames([NAME.toUpperCase()])],
    ["WEFT_PEER_IDENTITY", "with a NUL", withNames([`${NAME}\0.evil.example`])],
    ["WEFT_PEER_IDENTITY", "with quotes", withNames([`"${NAME}"`])],
    ["WEFT_PEER_IDENTITY", "with an address beside it", withNames([NAME], [URI], 1)],
    ["WEFT_PEER_IDENTITY", "with another workload's URI", withNames([NAME], [URI.replace("web", "db")])],
  ];
  for (const [code, what, found, role = "client"] of refused) {
    it(`${what}: ${code}`, () => {
      const verdict = checkPeer(role, found);
      assert.ok("code" in verdict);
      assert.equal(verdict.code, code);
    });
  }
});

describe("an expected peer", () => {
  it("is asked for by its DNS name, in whatever form it was given", () => {
    assert.deepEqual(expectPeer(NAME), { identity: WEB, isUri: false, serverName: NAME });
    assert.deepEqual(expectPeer(URI), { identity: WEB, isUri: true, serverName: NAME });
    assert.equal(expectPeer(URI, "linkerd")?.serverName, NAME.replace(".weft.", ".linkerd."));
    for (const text of ["", "web", "www.example.com", `${NAME}.`, NAME.toUpperCase(), `${URI}/x`]) assert.equal(expectPeer(text), null);
  });

  it("is nobody else", () => {
    const byName = expectPeer(NAME)!;
    const byUri = expectPeer(URI)!;
    assert.equal(identityMismatch(byName, WEB), null);
    assert.equal(identityMismatch(byUri, WEB), null);
    const linkerd = { ...WEB, controlNamespace: "linkerd" };
    assert.match(identityMismatch(byName, linkerd) ?? "", /linkerd\.cluster\.local, and web\.shop/);
    assert.equal(identityMismatch(byUri, linkerd), null);
    for (const other of [{ account: "db" }, { namespace: "x" }, { trustDomain: "evil.example" }]) {
      assert.ok(identityMismatch(byName, { ...WEB, ...other }) !== null);
      assert.ok(identityMismatch(byUri, { ...WEB, ...other }) !== null);
    }
  });
});
