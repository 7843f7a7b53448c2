// A service on its way into the mesh: one replica has a proxy beside it, another has none yet. What the proxy of the first one could not hand on to its
// application goes to the second: the body in the form that HTTP/1 needs there, whatever form it was read in for the first.
//
// Story: a body in chunks was read as payload for HTTP/2, and its replay written to HTTP/1 as if it were chunks: a client could put a request of its
// own making there, which no proxy had looked at.

import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { closedPort } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

const LONG_MS = 60_000;

describe("a body in chunks that another endpoint gets", () => {
  let files: MeshFiles;
  let origin: Origin;
  let far: ProxyProcess;
  let near: ProxyProcess;
  before(async () => {
    files = new MeshFiles();
    origin = await startOrigin(async (x) => {
      const { body } = await x.body();
      await x.reply(200, `${x.request.method} ${x.request.target} ${body.toString("latin1")}`);
    });
    far = await ProxyProcess.start({ services: {}, identity: files.server, inbound: { target: `127.0.0.1:${await closedPort()}` } });
    near = await ProxyProcess.start({
      services: {
        web: {
          endpoints: [`127.0.0.1:${far.listener("inbound")}`],
          identity: SERVER_NAME,
          plain: [origin.address],
          loadBalancer: "round-robin",
        },
      },
      identity: files.client,
    });
  });
  after(async () => {
    await stopProxy(near);
    await stopProxy(far);
    await origin.stop();
    files.remove();
  });

  const met = async (): Promise<number> => (await near.metrics()).sum("outbound_http_peer_errors_total");

  it("comes there whole, and as nothing else", async () => {
    const hidden = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: web\r\n\r\n";
    const bytes = `POST /up HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
    for (let times = 0; times < 3; times++) {
      const before = await met();
      await waitUntil(
        "a request that met the one that is gone",
        async () => {
          const answer = await once(near.port, bytes);
          assert.deepEqual([answer.status, text(answer)], [200, `POST /up ${hidden}`]);
          return (await met()) > before;
        },
        LONG_MS,
      );
    }
    assert.deepEqual([...new Set(origin.requests.map((one) => `${one.method} ${one.target}`))], ["POST /up"]);
    assert.deepEqual(origin.errors, []);
  });

  it("comes there whole when it is still on its way", async () => {
    for (let times = 0; times < 3; times++) {
      const before = await met();
      await waitUntil(
        "a request that met the one that is gone",
        async () => {
          const client = await connect(near.port);
          await client.send("POST /slow HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
          const asked = origin.requests.length;
          await waitUntil("it at the origin", () => origin.requests.length > asked, LONG_MS);
          await client.send("6\r\nsecond\r\n0\r\n\r\n");
          assert.equal(text(await client.expectResponse()), "POST /slow firstsecond");
          client.destroy();
          return (await met()) > before;
        },
        LONG_MS,
      );
    }
  });
});

describe("a body in chunks whose first bytes were read for an endpoint that is gone", () => {
  it("goes to a replica in the mesh", async () => {
    const files = new MeshFiles();
    let isOver = false;
    const leaving = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => {
        if (!bytes.toString("latin1").startsWith("PUT")) {
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nleaving");
          return;
        }
        isOver = true;
        // It listens no more when the connection ends: no other one is to be had there.
        leaving.close();
        socket.destroy();
      });
    });
    await new Promise<void>((resolve) => leaving.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${(leaving.address() as AddressInfo).port}`;
    const kept = await startOrigin(async (x) => {
      const { body } = await x.body();
      await x.reply(200, `${x.request.method} ${body.toString("latin1")}`);
    });
    const far = await ProxyProcess.start({ services: {}, identity: files.server, inbound: { target: kept.address } });
    const near = await ProxyProcess.start({
      services: {
        web: {
          endpoints: [`127.0.0.1:${far.listener("inbound")}`],
          identity: SERVER_NAME,
          plain: [address],
          loadBalancer: "round-robin",
        },
      },
      identity: files.client,
    });
    try {
      await waitUntil("a connection", async () => text(await once(near.port, request("GET", "/"))) === "leaving", LONG_MS);
      for (let tries = 0; !isOver; tries++) {
        const asked = kept.requests.length;
        const client = await connect(near.port);
        // The size of a chunk, half of it: read, and nothing of it passed on.
        await client.send("PUT / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n1");
        await waitUntil("it at the application in the mesh", () => kept.requests.length > asked, LONG_MS);
        await client.send("0\r\nsixteen of bytes\r\n0\r\n\r\n");
        const answer = await client.expectResponse();
        assert.deepEqual([answer.status, text(answer)], [200, "PUT sixteen of bytes"]);
        client.destroy();
        assert.ok(tries < 20, "the one that leaves is not asked");
      }
    } finally {
      await stopProxy(near);
      await stopProxy(far);
      await kept.stop();
      leaving.close();
      files.remove();
    }
  });
});
