// The calls of one gRPC client connection over three servers, by Weft's default balancer: evenly while they are equal, away from a slow one.

import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { after, before, describe, it } from "node:test";
import { GrpcClient } from "../grpc/client.ts";
import { GrpcServer } from "../grpc/server.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";

const CALLS = 600;
/** Calls under way at once. */
const AT_ONCE = 12;

/** What makes a server slow. On a machine where a call takes long already: so many times that. */
const SLOW_MS = 100;
const SLOW_FACTOR = 30;

/** One late answer, of a server that was not compiled yet or waited for a processor, keeps its server's share small for seconds (peak EWMA). */
const EQUAL_ROUNDS_MAX = 20;

interface Round {
  /** Answers by server. */
  readonly shares: ReadonlyMap<string, number>;
  /** How long a call took. */
  readonly meanMs: number;
}

function isFair({ shares }: Round, name: string): boolean {
  const share = (shares.get(name) ?? 0) / CALLS;
  return share > 0.2 && share < 0.47;
}

/** Makes CALLS calls. */
async function load(client: GrpcClient): Promise<Round> {
  const shares = new Map<string, number>();
  let left = CALLS;
  let spentMs = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) {
        const begin = performance.now();
        const { code, details, messages } = await client.unary({ fillServerId: true });
        assert.equal(code, status.OK, details);
        const name = messages[0]!.serverId;
        shares.set(name, (shares.get(name) ?? 0) + 1);
        spentMs += performance.now() - begin;
      }
    }),
  );
  return { shares, meanMs: spentMs / CALLS };
}

describe("one gRPC client connection over three servers", () => {
  let servers: GrpcServer[];
  let proxy: ProxyProcess;
  let client: GrpcClient;
  before(async () => {
    servers = await Promise.all(["a", "b", "c"].map((name) => GrpcServer.start({ name })));
    proxy = await ProxyProcess.start({ services: { web: { endpoints: servers.map(({ address }) => address), protocol: "grpc" } } });
    client = new GrpcClient(`127.0.0.1:${proxy.port}`, { authority: "web" });
  });
  after(async () => {
    client.close();
    await stopProxy(proxy);
    for (const server of servers) server.stop();
  });

  it("goes to three equal ones alike, and hardly to a slow one", async () => {
    let equal = await load(client);
    for (let round = 2; round <= EQUAL_ROUNDS_MAX && !servers.every(({ name }) => isFair(equal, name)); round++) equal = await load(client);
    for (const { name } of servers)
      assert.ok(isFair(equal, name), `of ${EQUAL_ROUNDS_MAX} rounds none was even: ${[...equal.shares].join(" ")}`);

    servers[1]!.delayMs = Math.max(SLOW_MS, SLOW_FACTOR * equal.meanMs);
    const uneven = await load(client);
    const slow = (uneven.shares.get("b") ?? 0) / CALLS;
    assert.ok(slow > 0, "it is asked now and then");
    assert.ok(slow < 0.05, `the slow one got ${(100 * slow).toFixed(1)} %`);

    const metrics = await proxy.metrics();
    assert.equal(metrics.sum("tcp_open_total", { peer: "src" }), 1, "all of it was one connection");
  });
});
