// Several certificates at one listener: which one a client gets by the name it asks for, and that nothing else depends on it.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect as connectH2 } from "node:http2";
import { after, describe, it } from "node:test";
import type { ConnectionOptions } from "node:tls";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { request } from "../support/client.ts";
import { answerOf } from "../support/h2-client.ts";
import { text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";
import { handshakeError, tlsConnect } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";

const authority = new Authority();
const ca = authority.cert;

/** A certificate in files, and its fingerprint. */
class Site {
  readonly files: CertificateFiles;
  readonly #names: readonly string[];
  fingerprint = "";

  constructor(names: readonly string[]) {
    this.#names = names;
    this.files = new CertificateFiles({ cert: "", key: "" });
    this.renew();
  }

  renew(): void {
    const certificate = authority.issue({ names: this.#names });
    this.fingerprint = new X509Certificate(certificate.cert).fingerprint256;
    this.files.write(certificate);
  }
}

const sites = {
  first: new Site(["localhost", "a.example"]),
  wild: new Site(["*.b.example", "b.example"]),
  www: new Site(["www.b.example", "other.example"]),
};
after(() => {
  for (const { files } of Object.values(sites)) files.remove();
});

describe("several certificates at a listener", () => {
  const list = [sites.first, sites.wild, sites.www];
  const options = (o: { web: { address: string } }, order = list) => ({
    services: { web: { endpoints: [o.web.address] } },
    workers: 2,
    tls: order.map(({ files }) => files.paths),
    listeners: {
      http1: { service: "web", protocol: "http1", tls: order.map(({ files }) => files.paths) },
      alone: { service: "web", tls: sites.www.files.paths },
    },
  });
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => options(o),
  );

  /** Whether the certificate is right for the name is the test's to say. */
  const anyName: ConnectionOptions = { ca, checkServerIdentity: () => undefined };

  async function shown(servername: string, port = s.port): Promise<string> {
    const { wire } = await tlsConnect(port, { ...anyName, servername });
    const { fingerprint256 } = wire.socket.getPeerCertificate();
    wire.destroy();
    return fingerprint256;
  }

  for (const [name, site] of [
    ["a.example", "first"],
    ["b.example", "wild"],
    ["x.b.example", "wild"],
    ["X.B.Example", "wild"],
    ["www.b.example", "www"],
    ["other.example", "www"],
    ["x.www.b.example", "first"],
    ["unknown.example", "first"],
    ["", "first"],
  ] as const) {
    it(`${name || "no name"} gets the certificate ${site}`, async () => {
      assert.equal(await shown(name), sites[site].fingerprint);
    });
  }

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    for (const servername of ["a.example", "x.b.example", "www.b.example"]) {
      it(`${servername} is verified, served, and its session resumed in whichever worker: ${version}`, async () => {
        const common: ConnectionOptions = { ca, servername, minVersion: version, maxVersion: version };
        const first = await tlsConnect(s.port, common);
        assert.ok(first.wire.socket.authorized);
        const ticket = new Promise<Buffer>((resolve) => first.wire.socket.once("session", resolve));
        await first.wire.send(request("GET", "/name"));
        assert.equal(text(await first.wire.expectResponse()), "web");
        const session = version === "TLSv1.2" ? first.wire.socket.getSession()! : await ticket;
        first.wire.destroy();
        // Held together, so that both workers get some.
        const clients = await Promise.all(Array.from({ length: 4 }, () => tlsConnect(s.port, { ...common, session })));
        for (const { wire } of clients) {
          assert.ok(wire.socket.isSessionReused(), "not resumed");
          await wire.send(request("GET", "/name"));
          assert.equal(text(await wire.expectResponse()), "web");
        }
        for (const { wire } of clients) wire.destroy();
        // At another listener, the same name and the same certificate included, it is worth nothing.
        for (const listener of ["http1", "alone"]) {
          const { wire } = await tlsConnect(s.proxy.listener(listener), {
            ...anyName,
            ...common,
            checkServerIdentity: () => undefined,
            session,
          });
          assert.ok(!wire.socket.isSessionReused());
          wire.destroy();
        }
      });
    }
  }

  for (const servername of ["a.example", "x.b.example", "www.b.example"]) {
    it(`${servername} has the listener's protocols`, async () => {
      const offer = async (ALPNProtocols: string[], port = s.port): Promise<string | false | null> => {
        const { wire } = await tlsConnect(port, { ca, servername, ALPNProtocols });
        wire.destroy();
        return wire.socket.alpnProtocol;
      };
      assert.equal(await offer(["http/1.1", "h2"]), "h2");
      assert.equal(await offer(["http/1.1"]), "http/1.1");
      assert.equal(await offer(["h2", "http/1.1"], s.proxy.listener("http1")), "http/1.1");
      assert.match(String((await handshakeError(s.port, { ca, servername, ALPNProtocols: ["h3"] })).code), /ALERT_NO_APPLICATION_PROTOCOL/);
      const client = connectH2(`https://${servername}:${s.port}`, { ca, servername, host: "127.0.0.1" });
      assert.equal((await answerOf(client.request({ ":path": "/name", ":authority": "web" }))).body.toString(), "web");
      client.close();
    });
  }

  it("one that changes reaches new connections that ask for it, and no other", async () => {
    const { wire } = await tlsConnect(s.port, { ca, servername: "x.b.example" });
    const before = sites.wild.fingerprint;
    sites.wild.renew();
    await waitUntil("the new certificate", async () => (await shown("x.b.example")) === sites.wild.fingerprint);
    assert.notEqual(sites.wild.fingerprint, before);
    assert.equal(await shown("a.example"), sites.first.fingerprint);
    assert.equal(await shown("www.b.example"), sites.www.fingerprint);
    await wire.send(request("GET", "/name"));
    assert.equal(text(await wire.expectResponse()), "web");
    wire.destroy();
  });

  it("another order has another first", async () => {
    await s.proxy.reconfigure(options(s.origins, [sites.www, sites.first]));
    await waitUntil("the other first", async () => (await shown("unknown.example")) === sites.www.fingerprint);
    assert.equal(await shown("x.b.example"), sites.www.fingerprint);
    assert.equal(await shown("a.example"), sites.first.fingerprint);
  });

  it("no key is shown, and /config.json has what may be known of each", async () => {
    const { body } = await s.proxy.admin("/config.json");
    assert.doesNotMatch(body, /PRIVATE KEY/);
    for (const site of [sites.first, sites.www]) assert.ok(body.includes(site.fingerprint));
  });
});
