// The gRPC cases through HAProxy: the yardstick for proxies holds where a proxy is known to be right.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { GrpcClient } from "../grpc/client.ts";
import { INTEROP_CASES } from "../grpc/interop.ts";
import { GrpcServer } from "../grpc/server.ts";
import { answersByServer, cancellationIsSeen, deadlineIsSeen, largeMessages, longStream, slowServer } from "../grpc/streams.ts";
import { Gate } from "../support/wait.ts";
import { startH2Haproxy } from "./support/h2-haproxy.ts";
import type { Service } from "./support/services.ts";

const MIB = 1024 * 1024;
/** Sockets on both sides, and HAProxy's own buffers. */
const ON_THE_WAY_BYTES_MAX = 32 * MIB;

const gate = new Gate();
let servers: GrpcServer[] = [];
let proxies: Service[] = [];
let clients: GrpcClient[] = [];

before(async () => {
  const names = ["a", "b", "c"];
  servers = await Promise.all([...names.map((name) => GrpcServer.start({ name })), GrpcServer.start({ readAfter: gate })]);
  const ports = servers.map(({ port }) => port);
  const one = await startH2Haproxy(ports.slice(0, 1), "http/2");
  proxies = [
    one,
    await startH2Haproxy([one.port], "http/2"),
    await startH2Haproxy(ports.slice(0, 3), "http/2"),
    await startH2Haproxy(ports.slice(3), "http/2"),
  ];
  clients = proxies.map(({ port }) => new GrpcClient(`127.0.0.1:${port}`));
});

after(async () => {
  for (const client of clients) client.close();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  for (const server of servers) server.stop();
});

for (const [index, way] of ["one HAProxy", "two HAProxies"].entries()) {
  describe(`gRPC through ${way}`, () => {
    for (const [name, run] of Object.entries(INTEROP_CASES)) it(name, () => run(clients[index]!));
    it("carries messages of 8 MB", () => largeMessages(clients[index]!));
    it("carries a stream of 5000 messages both ways, in order", () => longStream(clients[index]!, 5_000));
    it("tells the server the deadline", () => deadlineIsSeen(clients[index]!, servers[0]!));
    it("tells the server of a cancellation", () => cancellationIsSeen(clients[index]!, servers[0]!));
  });
}

it("calls of one connection reach three servers", async () => {
  const answers = await answersByServer(clients[2]!, 30);
  assert.deepEqual([...answers].sort(), [
    ["a", 10],
    ["b", 10],
    ["c", 10],
  ]);
});

it("a client is stopped by a server that does not read", async () => {
  await slowServer(clients[3]!, servers[3]!, gate, ON_THE_WAY_BYTES_MAX);
});
