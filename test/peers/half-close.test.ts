// Clients that shut their side right after the request and read on, against nginx and over opaque TCP: they get everything.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Peer } from "../../bench/peers/peer.ts";
import { startOrigin } from "../../bench/peers/start.ts";
import { connect } from "../support/client.ts";
import { ProxyProcess } from "../support/proxy-process.ts";

const LARGE_BYTES = 1024 * 1024;

let origin: Peer;
let proxy: ProxyProcess;

before(async () => {
  origin = await startOrigin("nginx");
  const web = { endpoints: [`127.0.0.1:${origin.port}`] };
  proxy = await ProxyProcess.start({ services: { web }, listeners: { opaque: { service: "web", protocol: "opaque" } } });
});

after(async () => {
  try {
    await proxy?.stop();
  } finally {
    await origin?.child.stop();
  }
});

/** Sends one request and FIN at once; the answer is the hash of the body. */
async function askAndShut(port: number, target: string, times = 1): Promise<string[]> {
  const wire = await connect(port);
  await wire.send(`GET ${target} HTTP/1.1\r\nHost: web\r\n\r\n`.repeat(times));
  wire.endWrite();
  const hashes: string[] = [];
  for (let i = 0; i < times; i++) {
    const answer = await wire.expectResponse();
    assert.equal(answer.status, 200);
    hashes.push(createHash("sha256").update(answer.body).digest("hex"));
  }
  await wire.expectEnd();
  return hashes;
}

const largeHash = createHash("sha256").update(Buffer.alloc(LARGE_BYTES, "x")).digest("hex");
const smallHash = createHash("sha256").update(Buffer.alloc(248, "x")).digest("hex");

describe("a client that half-closes after its request", () => {
  it("gets a small and a large answer", async () => {
    assert.deepEqual(await askAndShut(proxy.port, "/"), [smallHash]);
    assert.deepEqual(await askAndShut(proxy.port, "/1m"), [largeHash]);
  });

  it("gets the answers to all requests that it pipelined before", async () => {
    assert.deepEqual(await askAndShut(proxy.port, "/1m", 5), Array<string>(5).fill(largeHash));
  });

  it("gets the whole answer over opaque TCP", async () => {
    // nginx, too, takes FIN for the end of the client's requests and answers what came before.
    assert.deepEqual(await askAndShut(proxy.listener("opaque"), "/1m"), [largeHash]);
  });

  it("200 of them at once all get theirs", async () => {
    const all = await Promise.all(Array.from({ length: 200 }, () => askAndShut(proxy.port, "/64k")));
    assert.equal(new Set(all.flat()).size, 1);
  });
});
