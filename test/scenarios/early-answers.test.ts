// Answers that come before the request is complete: 100-continue, other interim responses, early final ones (RFC 9110 sections 10.1.1, 15.2).

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { startOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";
import { seededBuffer, seededHash } from "../support/seeded-content.ts";

describe("early answers", () => {
  const s = scenario(
    async () => ({
      web: await startApp(),
      // Answers at the head. /close: and closes; /read: reads the rest of the request, as a good server may.
      early: await startOrigin(async (x) => {
        const close: Record<string, string> = x.request.target === "/close" ? { Connection: "close" } : {};
        await x.reply(413, "too big", close);
        if (x.request.target === "/close") x.wire.socket.destroySoon();
      }),
      hints: await startOrigin(async (x) => {
        await x.wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
        await x.body();
        await x.reply(200, "done");
      }),
    }),
    (o) => ({
      services: { web: { endpoints: [o.web.address] }, early: { endpoints: [o.early.address] }, hints: { endpoints: [o.hints.address] } },
    }),
  );

  it("forwards 100 Continue, then the body", async () => {
    const client = await connect(s.port);
    await client.send("POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n");
    assert.match(await client.expectUntil("\r\n\r\n"), /^HTTP\/1\.1 100 /);
    await client.send(seededBuffer(1, 70_000));
    const response = await client.expectResponse();
    assert.equal(text(response), `70000 ${seededHash(1, 70_000)} `);
    client.destroy();
  });

  it("forwards a body that does not wait for the 100 (RFC 9110 section 10.1.1)", async () => {
    const client = await connect(s.port);
    await client.send("POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    assert.match(text(await client.expectResponse()), /^3 ba7816bf/);
    await client.send(request("GET", "/"));
    assert.equal(text(await client.expectResponse()), "hello");
    client.destroy();
  });

  it("gives a final answer in place of the 100", async () => {
    const client = await connect(s.port);
    await client.send("POST /close HTTP/1.1\r\nHost: early\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n");
    const response = await client.expectResponse();
    assert.equal(response.status, 413);
    assert.deepEqual(response.informational, []);
    client.destroy();
  });

  it("forwards other interim responses to HTTP/1.1 and keeps them from HTTP/1.0 (RFC 9110 section 15.2)", async () => {
    const modern = await once(s.port, request("GET", "/", { Host: "hints" }));
    assert.deepEqual(
      modern.informational.map((message) => message.status),
      [103, 102],
    );
    assert.equal(header(modern.informational[0]!, "link"), "</a.css>");
    assert.equal(text(modern), "done");
    const old = await once(s.port, "GET / HTTP/1.0\r\nHost: hints\r\n\r\n");
    assert.deepEqual(old.informational, []);
    assert.equal(text(old), "done");
  });

  for (const target of ["/close", "/read"]) {
    it(`gives an early final answer to a client that is still uploading, ${target}`, async () => {
      const client = await connect(s.port);
      await client.send(`POST ${target} HTTP/1.1\r\nHost: early\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
      const response = await client.expectResponse();
      assert.equal(response.status, 413);
      assert.equal(text(response), "too big");
      client.destroy();
    });

    it(`does not use the upstream connection again after an early final answer, ${target}`, async () => {
      const { early } = s.origins;
      const client = await connect(s.port);
      await client.send(`POST ${target} HTTP/1.1\r\nHost: early\r\nContent-Length: 1000000\r\n\r\nhello`);
      assert.equal((await client.expectResponse()).status, 413);
      const used = early.connections.at(-1)!;
      const next = await once(s.port, request("GET", "/read", { Host: "early" }));
      assert.equal(next.status, 413);
      assert.notEqual(early.connections.at(-1), used);
      client.destroy();
      await used.expectClosed();
    });
  }

  it("never takes the rest of an upload for a request", async () => {
    const { early } = s.origins;
    const seen = early.requests.length;
    const client = await connect(s.port);
    await client.send("POST /read HTTP/1.1\r\nHost: early\r\nContent-Length: 100\r\n\r\n");
    assert.equal((await client.expectResponse()).status, 413);
    await client.send(request("GET", "/smuggled", { Host: "early" }).padEnd(100, "x"));
    client.endWrite();
    await client.expectClosed();
    assert.deepEqual(
      early.requests.slice(seen).map((message) => message.target),
      ["/read"],
    );
    client.destroy();
  });
});
