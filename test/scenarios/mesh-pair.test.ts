// HTTP/1 between two proxies of a mesh (ADR 0008): what an application and its client see is what one proxy would show them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { pairScenario } from "../support/mesh-pair.ts";
import { startApp } from "../support/origin-app.ts";
import { startOrigin, startRawOrigin } from "../support/origin.ts";
import { seededBuffer, seededHash } from "../support/seeded-content.ts";

describe("HTTP/1 through two proxies of a mesh", () => {
  const s = pairScenario(
    async () => ({
      web: await startApp({ name: "app" }),
      raw: await startRawOrigin(async (wire) => {
        for (;;) {
          await wire.until("a request or the end", () => wire.buffered > 0 || wire.isEnded, 60_000);
          if (wire.isEnded) return wire.endWrite();
          const head = await wire.expectUntil("\r\n\r\n");
          await wire.send(
            `HTTP/1.1 200 OK\r\nContent-Length: ${head.length}\r\nX-A: 1\r\nSet-Cookie: a=1\r\nX-B: 2\r\nSet-Cookie: b=2\r\n\r\n${head}`,
          );
        }
      }),
      odd: await startOrigin((x) =>
        x.reply(200, "x", { "l5d-orig-proto": "HTTP/1.1; upgrade=evil", "l5d-client-id": "x", Connection: "close" }),
      ),
    }),
    (o) => ({ targets: { web: o.web, raw: o.raw, odd: o.odd } }),
  );

  it("answers, and says HTTP/1.1", async () => {
    const response = await once(s.port, request("GET", "/"));
    assert.deepEqual([response.status, response.version, text(response)], [200, "1.1", "hello"]);
    assert.equal(header(response, "l5d-orig-proto"), undefined);
  });

  it("travels as HTTP/2, few connections for many requests, and as HTTP/1 at both ends", async () => {
    const wires = await Promise.all(Array.from({ length: 32 }, () => connect(s.port)));
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        wires.map(async (wire) => {
          await wire.send(request("GET", "/name"));
          assert.equal(text(await wire.expectResponse()), "app");
        }),
      );
    }
    for (const wire of wires) wire.destroy();
    const metrics = await s.pair.b.metrics();
    assert.equal(metrics.sum("tcp_open_connections", { peer: "src", direction: "inbound" }), 1);
  });

  /** Without what the proxy itself says of its client. */
  const lines = (head: string): string[] =>
    head
      .trim()
      .split("\r\n")
      .filter((line) => !line.startsWith("l5d-client-id: "));

  it("keeps order, duplicates, Host and cookies; names arrive in lower case", async () => {
    const bytes =
      "GET /a?b=c HTTP/1.1\r\nX-One: 1\r\nHost: raw\r\nX-Two: 2\r\nAccept: a\r\nX-One: 3\r\nCookie: c=1\r\nAccept: b\r\nX-Empty:\r\nL5D-Orig-Proto: HTTP/1.0\r\n\r\n";
    const response = await once(s.port, bytes);
    assert.deepEqual(lines(text(response)), [
      "GET /a?b=c HTTP/1.1",
      "Host: raw",
      "x-one: 1",
      "x-two: 2",
      "accept: a",
      "x-one: 3",
      "cookie: c=1",
      "accept: b",
      "x-empty: ",
    ]);
    assert.deepEqual(
      response.headers.filter(([name]) => /^(x-|set)/i.test(name)),
      [
        ["x-a", "1"],
        ["set-cookie", "a=1"],
        ["x-b", "2"],
        ["set-cookie", "b=2"],
      ],
    );
  });

  it("takes what HTTP/1.0 clients send, with and without keep-alive", async () => {
    const wire = await connect(s.port);
    await wire.send("GET /1 HTTP/1.0\r\nHost: raw\r\nConnection: keep-alive\r\n\r\n");
    const kept = await wire.expectResponse();
    assert.deepEqual(lines(text(kept)), ["GET /1 HTTP/1.1", "Host: raw"]);
    assert.equal(header(kept, "connection"), "keep-alive");
    await wire.send("GET /2 HTTP/1.0\r\nHost: raw\r\n\r\n");
    assert.equal(lines(text(await wire.expectResponse()))[0], "GET /2 HTTP/1.1");
    await wire.expectEnd();
  });

  it("takes absolute targets", async () => {
    const response = await once(s.port, "GET http://raw/x HTTP/1.1\r\nHost: other\r\n\r\n");
    assert.deepEqual(lines(text(response)), ["GET /x HTTP/1.1", "Host: raw"]);
  });

  it("drops what an application says for the mesh, and closes nothing of the client's because it closes", async () => {
    const wire = await connect(s.port);
    for (let i = 0; i < 2; i++) {
      await wire.send(request("GET", "/", { Host: "odd" }));
      const response = await wire.expectResponse();
      assert.deepEqual(
        response.headers.map(([name]) => name.toLowerCase()).filter((name) => name.startsWith("l5d") || name === "connection"),
        [],
      );
    }
    wire.destroy();
  });

  it("frames bodies with and without a length, trailers included, both ways", async () => {
    const wire = await connect(s.port);
    for (const [kind, framing] of [
      ["bytes", "length"],
      ["chunked", "chunked"],
    ] as const) {
      for (const size of [0, 1, 65_536, 2_000_000]) {
        await wire.send(request("GET", `/${kind}/${size}/7`));
        const response = await wire.expectResponse({ hashOnly: true });
        assert.deepEqual([response.framing, response.bodyHash], [framing, seededHash(7, size)]);
        if (kind === "chunked") assert.deepEqual(response.trailers, [["x-sum", response.bodyHash]]);
      }
    }
    for (const size of [0, 1, 1_000_000]) {
      const body = seededBuffer(9, size);
      void wire.send(`POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: ${size}\r\n\r\n`);
      void wire.send(body);
      assert.equal(text(await wire.expectResponse()), `${size} ${seededHash(9, size)} `);
      void wire.send("PUT /hash HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
      if (size > 0) void wire.send(Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), body, Buffer.from("\r\n")]));
      void wire.send("0\r\nX-One: 1\r\n\r\n");
      assert.equal(text(await wire.expectResponse()), `${size} ${seededHash(9, size)} x-one=1`);
    }
    wire.destroy();
  });

  it("answers HEAD, 204 and 304 without a body", async () => {
    const wire = await connect(s.port);
    await wire.send(request("HEAD", "/bytes/5000/1"));
    const head = await wire.expectResponse({ isHead: true });
    assert.deepEqual([head.status, header(head, "content-length")], [200, "5000"]);
    for (const status of [204, 304, 404]) {
      await wire.send(request("GET", `/status/${status}`));
      const response = await wire.expectResponse();
      assert.deepEqual([response.status, text(response)], [status, status === 404 ? "status 404" : ""]);
    }
    wire.destroy();
  });
});
