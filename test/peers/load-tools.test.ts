// The load generators that people point at a proxy: every request is answered, none wrongly.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { parseAb, parseWrk } from "../../bench/load/tools.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import { startOrigin } from "../../bench/peers/start.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { succeed } from "./support/tools.ts";

const REQUESTS = 10_000;

function numberIn(pattern: RegExp, output: string): number {
  const found = pattern.exec(output)?.[1];
  assert.ok(found !== undefined, `${pattern} in:\n${output}`);
  return Number(found);
}

for (const workers of [1, 0]) {
  describe(`load tools, ${workers === 0 ? "no worker thread" : "one worker"}`, () => {
    let origin: Peer;
    let proxy: ProxyProcess;
    let url: string;
    before(async () => {
      origin = await startOrigin("nginx");
      proxy = await ProxyProcess.start({ workers, services: { web: { endpoints: [`127.0.0.1:${origin.port}`] } } });
      url = `http://127.0.0.1:${proxy.port}/`;
    });
    after(async () => {
      try {
        await proxy?.stop();
      } finally {
        await origin?.child.stop();
      }
    });

    it("ab without keep-alive: 10000 requests on 10000 connections, no failure", async () => {
      const opened = (await proxy.metrics()).sum("tcp_open_total", { peer: "src" });
      const output = await succeed("ab", ["-q", "-n", String(REQUESTS), "-c", "100", url]);
      const { requests, errors } = parseAb(output);
      assert.deepEqual({ requests, errors }, { requests: REQUESTS, errors: 0 }, output);
      assert.ok((await proxy.metrics()).sum("tcp_open_total", { peer: "src" }) - opened >= REQUESTS);
    });

    it("ab -k: 10000 requests, every answer keeps its HTTP/1.0 connection", async () => {
      const output = await succeed("ab", ["-q", "-k", "-n", String(REQUESTS), "-c", "100", url]);
      const { requests, errors } = parseAb(output);
      assert.deepEqual({ requests, errors }, { requests: REQUESTS, errors: 0 }, output);
      assert.equal(numberIn(/Keep-Alive requests: +(\d+)/, output), REQUESTS);
    });

    it("wrk with 64 connections: no socket error, no status but 2xx", async () => {
      const output = await succeed("wrk", ["-t1", "-c64", "-d3s", url]);
      const { requests, errors } = parseWrk(output);
      assert.equal(errors, 0, output);
      assert.ok(requests > 1_000, output);
    });

    it("hey: 10000 answers of 200", async () => {
      const output = await succeed("hey", ["-n", String(REQUESTS), "-c", "50", url]);
      assert.equal(numberIn(/\[200\]\s+(\d+) responses/, output), REQUESTS);
      assert.doesNotMatch(output, /Error distribution/);
    });

    for (const pipelined of [1, 8]) {
      it(`h2load --h1 with ${pipelined} request(s) on their way per connection: 10000 succeeded`, async () => {
        const output = await succeed("h2load", ["--h1", "-n", String(REQUESTS), "-c", "50", "-m", String(pipelined), url]);
        assert.match(output, new RegExp(`${REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout`));
        assert.match(output, new RegExp(`status codes: ${REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx`));
      });
    }
  });
}
