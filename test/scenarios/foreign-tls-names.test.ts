// An application's own TLS through the inbound side of a mesh's proxy is counted by the server that it asks for, and no client can make up as many
// label sets as it likes.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { Authority } from "../support/certificates.ts";
import { MeshAuthority } from "../support/mesh-certificates.ts";
import type { Metrics } from "../support/metrics.ts";
import { scenario } from "../support/scenario.ts";
import { tlsConnect } from "../support/tls-client.ts";

/** Per worker, as docs/metrics.md has it. */
const NAMES_MAX = 64;
const WORKERS = 2;

const own = new Authority("the application's own");
const files = new MeshAuthority().files("web");
after(() => files.remove());

/** An application that speaks TLS by itself, and says by which name it was asked for. */
async function startTlsApp(): Promise<{ address: string; stop(): Promise<void> }> {
  const server = createTlsServer(own.issue({ names: ["app.example"] }), (socket) => {
    socket.on("error", () => undefined);
    socket.end(socket.servername || "-");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { address: `127.0.0.1:${port}`, stop: () => new Promise((resolve) => server.close(() => resolve())) };
}

describe("an application's own TLS", () => {
  const s = scenario(
    async () => ({ tls: await startTlsApp() }),
    (o) => ({ services: {}, identity: files.paths, inbound: { target: o.tls.address }, workers: WORKERS }),
  );

  async function ask(servername: string): Promise<void> {
    const { wire } = await tlsConnect(s.proxy.listener("inbound"), { ca: own.cert, servername, checkServerIdentity: () => undefined });
    await wire.until("the end", () => wire.isEnded || wire.isClosed);
    assert.equal(wire.take().toString(), servername === "" ? "-" : servername);
    wire.destroy();
  }

  const opened = (metrics: Metrics, sni: string): number => metrics.sum("tcp_open_total", { peer: "src", tls: "opaque", sni });

  it("is counted by the name that it asks for, in lower case; without a name it has no sni", async () => {
    for (const name of ["app.example", "App.Example", "db.example", ""]) await ask(name);
    const metrics = await s.proxy.metrics();
    assert.equal(opened(metrics, "app.example"), 2);
    assert.equal(opened(metrics, "db.example"), 1);
    assert.equal(metrics.sum("inbound_tcp_authz_allow_total", { tls: "opaque", sni: "app.example" }), 2);
    assert.equal(metrics.sum("tcp_open_total", { peer: "src", tls: "opaque" }), 4);
    const nameless = metrics.samples.filter(
      ({ name, labels }) => name === "tcp_open_total" && labels.tls === "opaque" && !("sni" in labels),
    );
    assert.equal(
      nameless.reduce((sum, { value }) => sum + value, 0),
      1,
    );
  });

  it(`names over the first ${NAMES_MAX} per worker are counted together`, async () => {
    const names = Array.from({ length: 200 }, (_, index) => `n${index}.example`);
    for (const name of names) await ask(name);
    const metrics = await s.proxy.metrics();
    const counted = names.filter((name) => opened(metrics, name) > 0).length;
    assert.ok(counted > 0 && counted <= WORKERS * NAMES_MAX, `${counted}`);
    assert.equal(names.reduce((sum, name) => sum + opened(metrics, name), 0) + opened(metrics, "other"), names.length);
  });
});
