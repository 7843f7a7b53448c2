// Bytes that a client sends before anybody can use them: each arrives where it belongs, in order, exactly once.
//
// Stories: (1) what came in one segment with the head of a CONNECT was dropped. (2) A client had begun a line when the server that was
// dialled meanwhile spoke first: the beginning of the line was lost. (3) The beginning of the next request's head was larger than
// pipelinedBytesMax: it was not read on until the header deadline, then refused.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, request } from "../support/client.ts";
import { bytesRead } from "../support/fill.ts";
import { text } from "../support/http-lite.ts";
import { startOrigin, startRawOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";
import { Gate, waitUntil } from "../support/wait.ts";

const CONNECT = "CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n";

describe("bytes behind the head of a CONNECT", () => {
  const s = scenario(
    async () => ({
      // An HTTP request gets its answer; anything else is echoed up to the client's FIN.
      web: await startRawOrigin(async (wire) => {
        for (;;) {
          await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
          if (wire.buffered === 0) return wire.endWrite();
          const bytes = wire.take();
          if (bytes.toString("latin1").startsWith("GET")) await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          else await wire.send(bytes);
        }
      }),
    }),
    (o) => ({ protocol: "http1", allowConnect: true, services: { web: { endpoints: [o.web.address] } } }),
  );

  for (const [what, before] of [
    ["alone", ""],
    ["behind a GET", request("GET", "/")],
  ] as const) {
    for (const hasFin of [false, true]) {
      it(`go through the tunnel: ${what}${hasFin ? ", with a FIN" : ""}`, async () => {
        const client = await connect(s.port);
        await client.send(`${before}${CONNECT}\x16early`);
        if (hasFin) client.endWrite();
        if (before !== "") assert.equal(text(await client.expectResponse()), "ok");
        assert.match(await client.expectUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
        assert.equal((await client.expectBytes(6)).toString("latin1"), "\x16early");
        if (!hasFin) {
          await client.send("later");
          assert.equal((await client.expectBytes(5)).toString("latin1"), "later");
          client.endWrite();
        }
        await client.expectEnd();
        client.destroy();
      });
    }
  }
});

describe("the beginning of a line, before the server speaks first", () => {
  const maySpeak = new Gate();
  const s = scenario(
    async () => ({
      web: await startRawOrigin(async (wire) => {
        await maySpeak.opened;
        await wire.send("220 ready\r\n");
        await wire.send(`got ${await wire.expectUntil("\n")}`);
        await wire.expectClosed(60_000);
        wire.endWrite();
      }),
    }),
    (o) => ({ services: { web: { endpoints: [o.web.address] } } }),
  );

  it("reaches the server with the rest of the line", async () => {
    const client = await connect(s.port);
    await waitUntil("the dial", () => s.origins.web.connections.length === 1);
    await client.send("EHLO ");
    await waitUntil("the bytes in the proxy", async () => (await bytesRead(s.proxy, "src")) === 5);
    maySpeak.open();
    assert.equal(await client.expectUntil("\n"), "220 ready\r\n");
    await client.send("me\r\n");
    assert.equal(await client.expectUntil("\n"), "got EHLO me\r\n");
    client.endWrite();
    await client.expectEnd();
  });
});

describe("the beginning of a head that is larger than pipelinedBytesMax", () => {
  let mayAnswer = new Gate();
  const s = scenario(
    async () => ({
      web: await startOrigin(async (x) => {
        await mayAnswer.opened;
        await x.reply(200, x.request.target);
      }),
    }),
    (o) => ({
      protocol: "http1",
      services: { web: { endpoints: [o.web.address] } },
      limits: { pipelinedBytesMax: 1024, headerDeadlineMs: 2_000 },
    }),
  );

  it("waits for the answer before it, and is then read to its end", async () => {
    mayAnswer = new Gate();
    const client = await connect(s.port);
    const head = request("GET", "/second", { "X-Long": "a".repeat(4000) });
    await client.send(request("GET", "/first") + head.slice(0, 3000));
    await waitUntil("the first request at the service", () => s.origins.web.requests.length === 1);
    mayAnswer.open();
    assert.equal(text(await client.expectResponse()), "/first");
    await client.send(head.slice(3000));
    assert.equal(text(await client.expectResponse()), "/second");
    client.destroy();
  });

  it("is read to its end with nothing before it, too", async () => {
    mayAnswer.open();
    const client = await connect(s.port);
    const head = request("GET", "/only", { "X-Long": "a".repeat(4000) });
    const before = await bytesRead(s.proxy, "src");
    await client.send(head.slice(0, 3000));
    await waitUntil("the beginning in the proxy", async () => (await bytesRead(s.proxy, "src")) === before + 3000);
    await client.send(head.slice(3000));
    assert.equal(text(await client.expectResponse()), "/only");
    client.destroy();
  });
});
