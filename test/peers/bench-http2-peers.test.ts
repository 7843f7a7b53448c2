// The proxies of the benchmark with HTTP/2 and TLS, as it configures them: each forwards without an error what its abilities promise, to
// origins that speak what was asked for, measured with the tools and the numbers of the scenarios, only fewer.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Generator } from "../../bench/load/generator.ts";
import { HTTP2 } from "../../bench/load/http2.ts";
import { HTTP2_BODIES } from "../../bench/load/http2-bodies.ts";
import { runLoad } from "../../bench/load/run-load.ts";
import type { Scenario } from "../../bench/load/scenario.ts";
import { TLS } from "../../bench/load/tls.ts";
import { cannot } from "../../bench/engine/subject.ts";
import { PEERS } from "../../bench/peers/list.ts";
import { type Origin, startOrigin, stopAll, stopOrigins } from "../../bench/peers/start.ts";

const REQUESTS = 1_000;
const LARGE_REQUESTS = 50;
const LARGE_BYTES = 1024 * 1024;

for (const scenario of [...HTTP2, ...HTTP2_BODIES, ...TLS]) {
  describe(scenario.name, () => {
    let origin: Origin;
    let generator: Generator;

    before(async () => {
      origin = await startOrigin(scenario.origin!, { protocols: scenario.protocols });
      generator = new Generator();
    });

    after(async () => {
      generator?.stop();
      await stopOrigins(origin === undefined ? [] : [origin]);
    });

    async function isServed(port: number): Promise<void> {
      const { protocols, loads } = scenario;
      for (const load of loads as readonly Scenario["loads"][number][]) {
        const requests = Math.max(load.requestBytes, load.responseBytes) === LARGE_BYTES ? LARGE_REQUESTS : REQUESTS;
        const tool = load.tools[0]!;
        const connections = load.connections as number;
        const order = { load, tool, protocols, port, connections, rateRps: null, seconds: 1, requests, seed: 1 };
        const outcome = await runLoad(order, generator);
        assert.deepEqual([outcome.errors, outcome.errorDetail], [0, null], load.id);
        // wrk runs for a time instead.
        if (tool === "h2load") assert.equal(outcome.requests, requests, load.id);
      }
    }

    it("is served by its origin without a proxy", async () => {
      await isServed(origin.clientPort);
    });

    for (const kind of PEERS.filter((one) => cannot(one, scenario) === null)) {
      it(`is served by ${kind.name}`, async () => {
        const { mode, protocols } = scenario;
        const peer = await kind.start({ mode, protocols, upstreams: [origin.port], workers: 1 });
        try {
          await isServed(peer.port);
        } finally {
          await stopAll([peer]);
        }
      });
    }
  });
}
