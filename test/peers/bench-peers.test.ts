// The proxies that the benchmark compares with, as it configures them: each forwards what its abilities promise, without an error, and
// uses its connections to the origin again. Those that Debian has are here in any case; others where they are installed.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Generator } from "../../bench/load/generator.ts";
import { PEERS } from "../../bench/peers/list.ts";
import type { Peer, StartRequest } from "../../bench/peers/peer.ts";
import { type Origin, startOrigin, stopAll } from "../../bench/peers/start.ts";

const REQUESTS = 200;
const UPLOAD_BYTES = 1024 * 1024;

describe("peers of the benchmark", () => {
  let origin: Origin;
  let generator: Generator;

  before(async () => {
    origin = await startOrigin("uws");
    generator = new Generator();
  });

  after(async () => {
    generator.stop();
    await stopAll([origin]);
  });

  async function answered(
    peer: Peer,
    path: string,
    count: number,
    more: { requestBytes?: number; protocol?: "websocket" } = {},
  ): Promise<void> {
    const run = { port: peer.port, path, rate: null, seconds: 20, connections: 4, seed: 1, requestsMax: count, ...more };
    const { completed, errors } = await generator.run(run);
    assert.deepEqual({ completed, errors }, { completed: count, errors: 0 });
  }

  it("are there as far as Debian has them", () => {
    const missing = PEERS.filter((kind) => ["nginx", "haproxy", "caddy"].includes(kind.name) && kind.version() === null);
    assert.deepEqual(
      missing.map((kind) => kind.install),
      [],
    );
    assert.equal(PEERS.find((kind) => kind.name === "nginx")!.missing!("tcp"), null);
  });

  for (const kind of PEERS.filter((one) => one.version() !== null && one.abilities.includes("http"))) {
    async function through(mode: StartRequest["mode"], work: (peer: Peer) => Promise<void>): Promise<void> {
      const peer = await kind.start({ mode, upstreams: [origin.port], workers: 1 });
      try {
        await work(peer);
      } finally {
        await peer.child.stop();
      }
    }

    it(`${kind.name} forwards requests and bodies both ways, over connections that it keeps`, async () => {
      await through("http", async (peer) => {
        await answered(peer, "/", REQUESTS);
        const accepted = await origin.accepted();
        await answered(peer, "/", REQUESTS);
        const opened = (await origin.accepted()) - accepted - 1;
        assert.ok(opened < REQUESTS / 10, `${opened} connections for ${REQUESTS} requests`);
        await answered(peer, "/1m", 10);
        await answered(peer, "/upload", 10, { requestBytes: UPLOAD_BYTES });
        if (kind.abilities.includes("websocket")) await answered(peer, "/echo", REQUESTS, { protocol: "websocket" });
      });
    });

    if (kind.abilities.includes("tcp")) {
      it(`${kind.name} forwards bytes`, async () => {
        await through("tcp", (peer) => answered(peer, "/", REQUESTS));
      });
    }

    if (kind.abilities.includes("balance")) {
      it(`${kind.name} uses every upstream`, async () => {
        const second = await startOrigin("uws");
        const peer = await kind.start({ mode: "http", upstreams: [origin.port, second.port], workers: 1 });
        try {
          await answered(peer, "/", REQUESTS);
          assert.ok((await second.accepted()) > 1);
        } finally {
          await stopAll([peer, second]);
        }
      });
    }
  }
});
