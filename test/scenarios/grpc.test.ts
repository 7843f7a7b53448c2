// gRPC through one proxy and through two: the interoperability cases by name, large messages, long streams, deadlines, cancellation.

import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { after, before, describe, it } from "node:test";
import { GrpcClient } from "../grpc/client.ts";
import { INTEROP_CASES } from "../grpc/interop.ts";
import { GrpcServer } from "../grpc/server.ts";
import {
  answersByServer,
  cancellationIsSeen,
  deadlineIsSeen,
  LARGE_BYTES,
  largeMessages,
  longStream,
  slowServer,
} from "../grpc/streams.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { Gate, waitUntil } from "../support/wait.ts";

/** What lies in sockets, streams and proxies between two ends on one machine. */
const IN_BETWEEN_BYTES_MAX = 32 * 1024 * 1024;

for (const hops of [1, 2]) {
  describe(`gRPC through ${hops === 1 ? "one proxy" : "two proxies"}`, () => {
    let server: GrpcServer;
    let client: GrpcClient;
    const proxies: ProxyProcess[] = [];
    before(async () => {
      server = await GrpcServer.start({ name: "alone" });
      let next = server.address;
      for (let i = 0; i < hops; i++) {
        const proxy = await ProxyProcess.start({ services: { web: { endpoints: [next], protocol: "grpc" } } });
        proxies.push(proxy);
        next = `127.0.0.1:${proxy.port}`;
      }
      client = new GrpcClient(next, { authority: "web" });
    });
    after(async () => {
      client.close();
      // First: the client forgets to reset a call that it cancelled at its beginning, and keeps its connection as long as the server.
      server.stop();
      for (const proxy of proxies.reverse()) await stopProxy(proxy);
    });

    for (const [name, run] of Object.entries(INTEROP_CASES)) it(name, () => run(client));

    it(`carries a message of ${LARGE_BYTES} bytes both ways`, () => largeMessages(client));
    it("carries a stream of 5000 messages both ways, in order", () => longStream(client, 5_000));
    it("tells the server the deadline", () => deadlineIsSeen(client, server));
    it("tells the server of a cancellation", () => cancellationIsSeen(client, server));
  });
}

describe("gRPC over three endpoints", () => {
  let servers: GrpcServer[];
  let proxy: ProxyProcess;
  let client: GrpcClient;
  before(async () => {
    servers = await Promise.all(["a", "b", "c"].map((name) => GrpcServer.start({ name })));
    const endpoints = servers.map(({ address }) => address);
    proxy = await ProxyProcess.start({ services: { web: { endpoints, protocol: "grpc", loadBalancer: "round-robin" } } });
    client = new GrpcClient(`127.0.0.1:${proxy.port}`, { authority: "web" });
  });
  after(async () => {
    client.close();
    await stopProxy(proxy);
    for (const server of servers) server.stop();
  });

  it("spreads the requests of one connection evenly", async () => {
    const answers = await answersByServer(client, 30);
    assert.deepEqual([...answers.entries()].sort(), [
      ["a", 10],
      ["b", 10],
      ["c", 10],
    ]);
  });

  it("classifies by grpc-status, and says so in the metrics", async () => {
    assert.equal((await client.unary({ responseStatus: { code: status.UNAVAILABLE, message: "no" } })).code, status.UNAVAILABLE);
    assert.equal((await client.unary({ responseStatus: { code: status.NOT_FOUND, message: "no" } })).code, status.NOT_FOUND);
    const metrics = await proxy.metrics();
    assert.equal(metrics.sum("response_total", { grpc_status: "14", classification: "failure" }), 1);
    assert.equal(metrics.sum("response_total", { grpc_status: "5", classification: "success" }), 1);
  });
});

it("a client is stopped by a server that does not read", async () => {
  const gate = new Gate();
  const server = await GrpcServer.start({ readAfter: gate });
  const proxy = await ProxyProcess.start({ services: { web: { endpoints: [server.address], protocol: "grpc" } } });
  const client = new GrpcClient(`127.0.0.1:${proxy.port}`, { authority: "web" });
  await slowServer(client, server, gate, IN_BETWEEN_BYTES_MAX);
  client.close();
  await stopProxy(proxy);
  server.stop();
});

it("no call is lost while servers drain and come back", async () => {
  const servers = await Promise.all(["a", "b"].map((name) => GrpcServer.start({ name })));
  const proxy = await ProxyProcess.start({ services: { web: { endpoints: servers.map(({ address }) => address), protocol: "grpc" } } });
  const client = new GrpcClient(`127.0.0.1:${proxy.port}`, { authority: "web" });
  let failed = 0;
  let calls = 0;
  let isOver = false;
  const load = (async () => {
    while (!isOver) {
      for (const { code } of await Promise.all(Array.from({ length: 8 }, () => client.empty()))) {
        calls++;
        if (code !== status.OK) failed++;
      }
    }
  })();
  await waitUntil("calls", () => calls > 50);
  await servers[0]!.drain();
  const before = calls;
  await waitUntil("more calls", () => calls > before + 100);
  isOver = true;
  await load;
  assert.equal(failed, 0);
  client.close();
  await stopProxy(proxy);
  for (const server of servers) server.stop();
});
