// Certificates that must not get anybody in: each refused by its own name, counted, logged, and nothing of it reaches a service.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { hostileCertificates, MeshAuthority, meshName, meshUri } from "../support/mesh-certificates.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";
import { tlsConnect, tlsOnce } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";

const authority = new MeshAuthority();
const files = authority.files("web");
after(() => files.remove());
/** What OpenSSL would not even offer from this side otherwise. */
const ANYTHING = "DEFAULT:@SECLEVEL=0";

describe("clients of the mesh with a certificate that is refused", () => {
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => ({
      services: {},
      identity: files.paths,
      inbound: { target: o.web.address, ports: { opaque: { target: o.web.address, protocol: "opaque" } } },
    }),
  );
  const mesh = { ca: authority.cert, servername: meshName("web"), ciphers: ANYTHING };

  const hostile = [
    ...hostileCertificates(authority, "client"),
    {
      what: "for servers only",
      code: "WEFT_PEER_PURPOSE",
      error: "peer purpose",
      certificate: authority.workload("client", { usages: ["server"] }),
    },
  ];
  for (const { what, code, error, certificate } of hostile) {
    it(`${what}: ${code}`, async () => {
      const labels = { direction: "inbound", result: "refused", error };
      const refused = async (): Promise<number> => (await s.proxy.metrics()).sum("mesh_tls_handshakes_total", labels);
      const before = await refused();
      const asked = s.origins.web.requests.length;
      for (const name of ["inbound", "opaque"]) {
        // A client of TLS 1.3 is done before it hears that it was refused: its request is on its way already.
        const { wire } = await tlsConnect(s.proxy.listener(name), { ...mesh, ...certificate });
        await wire.send(request("GET", "/name"));
        await wire.until("the end", () => wire.isEnded || wire.isClosed);
        assert.equal(wire.bytesReceived, 0);
        wire.destroy();
      }
      await waitUntil("the count", async () => (await refused()) === before + 2);
      assert.equal(s.origins.web.requests.length, asked);
      await waitUntil("the log", () => s.proxy.log.includes(`[${code}]`));
    });
  }

  it("good ones of every allowed kind get in", async () => {
    const issuer = authority.intermediate("issuer");
    const names = [meshName("client"), meshUri("client")];
    const good = [
      authority.issue({ names: [meshName("client")] }),
      authority.issue({ names: [meshUri("client")] }),
      issuer.issue({ names, usages: ["client"] }),
      ...(["P-384", "ed25519", "rsa2048"] as const).map((keyKind) => authority.workload("client", { keyKind })),
    ];
    for (const certificate of good) {
      const answer = await tlsOnce(s.proxy.listener("inbound"), { ...mesh, ...certificate }, request("GET", "/name"));
      assert.equal(text(answer), "web");
    }
    const labels = { tls: "true", client_id: meshName("client") };
    assert.equal((await s.proxy.metrics()).sum("tcp_open_total", labels), good.length);
  });
});
