// Uploads that are answered before the service has read them: the answer arrives, and the client's connection goes on where it can.
//
// Stories: (1) the client was paused because the service did not read; its last bytes had come already, so nothing ever resumed it, and
// its next request was never read. (2) A service that refuses an upload answers and closes with bytes unread, so a reset follows its
// answer; Weft's next write failed first, and the client got 502 in place of the 413.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, request } from "../support/client.ts";
import { bytesRead, chunkOf, fillWithChunks } from "../support/fill.ts";
import { text } from "../support/http-lite.ts";
import { startRawOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

/** More than the first piece left room for in the proxy (32 KiB), less than it reads at once (128 KiB). */
const LAST_CHUNK_BYTES = 64 * 1024;
const ROUNDS = 60;
const UPLOAD = Buffer.alloc(2_000_000, "x");

describe("an upload that is answered before it was read", () => {
  const s = scenario(
    async () => ({
      // Reads heads only: a POST's body stays where it is.
      lazy: await startRawOrigin(async (wire) => {
        const head = await wire.expectUntil("\r\n\r\n", 60_000).catch(() => "");
        if (head.startsWith("POST")) wire.pause();
        else if (head !== "") await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
      }),
      // Answers at the head and closes with whatever was not read.
      refusing: await startRawOrigin(async (wire) => {
        const head = await wire.expectUntil("\r\n\r\n", 60_000).catch(() => "");
        if (head === "") return wire.destroy();
        wire.pause();
        await wire.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        wire.destroy();
      }),
    }),
    (o) => ({
      protocol: "http1",
      services: { lazy: { endpoints: [o.lazy.address] }, refusing: { endpoints: [o.refusing.address] } },
    }),
  );

  it("is not the last request of its connection when all of it had come", async () => {
    const client = await connect(s.port);
    await client.send("POST / HTTP/1.1\r\nHost: lazy\r\nTransfer-Encoding: chunked\r\n\r\n");
    await waitUntil("the request at the service", () => s.origins.lazy.connections[0]?.bytesReceived);
    await fillWithChunks(s.proxy, client, "src");
    const before = await bytesRead(s.proxy, "src");
    const last = `${chunkOf(LAST_CHUNK_BYTES)}0\r\n\r\n`;
    await client.send(last);
    await waitUntil("the end of the upload to be read", async () => (await bytesRead(s.proxy, "src")) === before + last.length);
    await s.origins.lazy.connections[0]!.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert.equal(text(await client.expectResponse()), "ok");
    await client.send(request("GET", "/", { Host: "lazy" }));
    assert.equal(text(await client.expectResponse()), "hi");
    client.destroy();
  });

  it(`gets its 413 ${ROUNDS} times of ${ROUNDS}, though a reset follows`, async () => {
    const statuses: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const client = await connect(s.port);
      void client.send(`POST / HTTP/1.1\r\nHost: refusing\r\nContent-Length: ${UPLOAD.length}\r\n\r\n`);
      void client.send(UPLOAD);
      statuses.push((await client.expectResponse()).status);
      client.destroy();
    }
    assert.deepEqual(statuses, new Array(ROUNDS).fill(413));
  });
});
