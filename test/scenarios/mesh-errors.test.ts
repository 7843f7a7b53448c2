// Why a proxy answered in its application's place, when another proxy stands between it and the client: the client gets the status, and the
// proxy that asked has the reason in its log, its metrics and its access log.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { once, request } from "../support/client.ts";
import { header } from "../support/http-lite.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import { H2Client } from "../support/h2-client.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { closedPort } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

const LONG_MS = 60_000;

describe("an answer of another proxy of the mesh", () => {
  let files: MeshFiles;
  let app: Origin;
  let far: ProxyProcess;
  let near: ProxyProcess;

  before(async () => {
    files = new MeshFiles();
    // An application that says what only proxies may say, and one request that it never answers.
    app = await startOrigin(async (x) => {
      if (x.request.target === "/never")
        await x.wire.until("the end", () => x.wire.isEnded || x.wire.isClosed, LONG_MS).catch(() => undefined);
      else await x.reply(502, "mine", { "l5d-proxy-error": "[WEFT_LOOP] not a proxy's" });
    });
    const ports = {
      gone: { target: `127.0.0.1:${await closedPort()}` },
      denied: { target: app.address, policy: "deny" },
      slow: { target: app.address },
    };
    far = await ProxyProcess.start({
      services: {},
      identity: files.server,
      inbound: { target: app.address, ports },
      limits: { responseTimeoutMs: 2_000 },
    });
    const names = ["gone", "denied", "slow"];
    const services = Object.fromEntries(
      names.map((name) => [name, { endpoints: [`127.0.0.1:${far.listener(name)}`], identity: SERVER_NAME }]),
    );
    near = await ProxyProcess.start({
      services: { ...services, plain: { endpoints: [app.address] } },
      identity: files.client,
      accessLog: "json",
    });
  });
  after(async () => {
    try {
      await stopProxy(near);
      await stopProxy(far);
    } finally {
      await app.stop();
      files.remove();
    }
  });

  const counted = async (labels: Record<string, string>): Promise<number> =>
    (await near.metrics()).sum("outbound_http_peer_errors_total", labels);
  const noted = (): string[] => near.log.split("\n").filter((line) => line.includes("another proxy of the mesh answered"));

  for (const [service, target, status, code, error] of [
    ["gone", "/", 502, "WEFT_CONNECT_FAILED", "i/o"],
    ["denied", "/", 403, "WEFT_UNAUTHORIZED", "unauthorized"],
    ["slow", "/never", 504, "WEFT_RESPONSE_TIMEOUT", "response timeout"],
  ] as const) {
    it(`${status} ${code}: the status for the client, the reason for whoever looks at the proxy that asked`, async () => {
      const answer = await once(near.port, request("GET", target, { Host: service }));
      assert.equal(answer.status, status);
      assert.equal(header(answer, "l5d-proxy-error"), undefined);
      assert.equal(await counted({ dst_service: service, error }), 1);
      const line = await waitUntil("the log", () => noted().find((text) => text.includes(code)), LONG_MS);
      const fields = JSON.parse(line) as Record<string, unknown>;
      assert.equal(fields["endpoint"], `127.0.0.1:${far.listener(service)}`);
      assert.equal(fields["status"], status);
      assert.match(String(fields["detail"]), new RegExp(`^\\[${code}\\] .`));
      await waitUntil("the access log", () => new RegExp(`"error":"${code}"`).test(near.log), LONG_MS);
    });
  }

  it("is told by the call's status and message to gRPC, and noted all the same", async () => {
    const client = new H2Client(near.port, "gone");
    const call = { ":method": "POST", ":path": "/shop.Cart/Add", "content-type": "application/grpc", te: "trailers" };
    const answer = await client.request(call);
    assert.equal(answer.headers[":status"], 200);
    assert.equal(answer.headers["grpc-status"], "14");
    assert.equal(answer.headers["l5d-proxy-error"], undefined);
    client.close();
    assert.equal(await counted({ dst_service: "gone" }), 2);
  });

  it("is none of the application's: what that says of proxies goes nowhere", async () => {
    const before = [noted().length, await counted({})];
    for (const host of ["slow", "plain"]) {
      const answer = await once(near.port, request("GET", "/", { Host: host }));
      assert.equal(answer.status, 502);
      assert.equal(header(answer, "l5d-proxy-error"), undefined);
    }
    assert.deepEqual([noted().length, await counted({})], before);
    assert.doesNotMatch(near.log, /WEFT_LOOP/);
  });
});
