// Peers that leave in the middle: nobody is left waiting, nothing half-done is pooled, nothing broken looks complete.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { MessageReader, text } from "../support/http-lite.ts";
import { startOrigin, startRawOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";
import { SeededContent } from "../support/seeded-content.ts";
import { Gate, waitUntil } from "../support/wait.ts";
import type { Wire } from "../support/wire.ts";

/** How soon a client's departure must have reached its upstream. */
const CANCEL_MS = 1000;

type Leave = (client: Wire) => void;
const leavings: [string, Leave][] = [
  ["closes", (client) => client.destroy()],
  ["resets", (client) => client.reset()],
];

describe("aborts", () => {
  /** When the dying origin ends. Not before the client has the bytes: libuv reports a reset that comes with data as an end. */
  let mayDie = new Gate();
  const s = scenario(
    async () => ({
      // Never answers /wait, streams /stream for ever, answers anything else.
      web: await startOrigin(async (x) => {
        if (x.request.target === "/wait") return x.wire.finished(60_000);
        if (x.request.target !== "/stream") return x.reply(200, "fine");
        await x.wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
        const content = new SeededContent(1, 1e9);
        while (!x.wire.isClosed) await x.wire.send(content.next());
      }),
      // Sends the bytes that the target names, then ends the way that it names.
      dying: await startRawOrigin(async (wire) => {
        const [, target] = (await wire.expectUntil("\r\n\r\n")).split(" ");
        const [, end, bytes] = target!.split("/");
        await wire.send(Buffer.from(bytes!, "base64url"));
        await mayDie.opened;
        if (end === "fin") wire.socket.destroySoon();
        else wire.reset();
      }),
    }),
    // Declared: with detection a slow client's connection is dialled ahead, and the last one would not be the request's.
    (o) => ({ protocol: "http1", services: { web: { endpoints: [o.web.address] }, dying: { endpoints: [o.dying.address] } } }),
  );

  for (const [how, leave] of leavings) {
    it(`cancels the upstream exchange when a client that waits ${how}`, async () => {
      const { web } = s.origins;
      const seen = web.requests.length;
      const client = await connect(s.port);
      await client.send(request("GET", "/wait"));
      await waitUntil("the request at the origin", () => web.requests.length > seen);
      const upstream = web.connections.at(-1)!;
      leave(client);
      await upstream.expectClosed(CANCEL_MS);
      assert.equal(text(await once(s.port, request("GET", "/"))), "fine");
      assert.notEqual(web.connections.at(-1), upstream, "the cancelled connection was pooled");
    });

    it(`cancels the upstream exchange when a client ${how} in the middle of a download`, async () => {
      const client = await connect(s.port);
      await client.send(request("GET", "/stream"));
      await client.until("a megabyte", () => client.bytesReceived > 1_000_000);
      const upstream = s.origins.web.connections.at(-1)!;
      leave(client);
      await upstream.finished(CANCEL_MS);
    });

    it(`never completes an upload whose client ${how}`, async () => {
      const { web } = s.origins;
      const [seen, failed] = [web.requests.length, web.errors.length];
      const client = await connect(s.port);
      await client.send("POST /up HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      await waitUntil("the request at the origin", () => web.requests.length > seen);
      leave(client);
      await waitUntil("the broken upload at the origin", () => web.errors.length > failed, CANCEL_MS);
    });
  }

  it("cancels the exchange of a client that stopped reading and then left", async () => {
    const client = await connect(s.port);
    await client.send(request("GET", "/stream"));
    await client.until("some bytes", () => client.bytesReceived > 0);
    const upstream = s.origins.web.connections.at(-1)!;
    client.pause();
    await waitUntil("the pipe to fill", () => upstream.socket.writableNeedDrain);
    client.reset();
    await upstream.finished(CANCEL_MS);
  });

  const halves: [string, string][] = [
    ["Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
    ["chunked, in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf"],
    ["chunked, between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    ["chunked, in the last line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n"],
  ];
  for (const end of ["fin", "rst"]) {
    for (const [what, bytes] of halves) {
      for (const version of ["1.1", "1.0"]) {
        it(`never makes a broken body look complete: ${what}, ${end}, to HTTP/${version}`, async () => {
          mayDie = new Gate();
          const client = await connect(s.port);
          await client.send(`GET /${end}/${Buffer.from(bytes).toString("base64url")} HTTP/${version}\r\nHost: dying\r\n\r\n`);
          const reader = new MessageReader("response");
          reader.push(Buffer.from(await client.expectUntil("half"), "latin1"));
          mayDie.open();
          await assert.rejects(client.readBody(reader), /stream ended|ECONNRESET/);
          client.destroy();
        });
      }
    }

    const before: [string, string][] = [
      ["without a byte", ""],
      ["in the status line", "HTTP/1.1 20"],
      ["in the head", "HTTP/1.1 200 OK\r\nContent-Le"],
      ["after an interim response", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"],
    ];
    for (const [what, bytes] of before) {
      it(`answers 502 when the upstream goes ${what}, ${end}`, async () => {
        mayDie.open();
        const response = await once(s.port, request("POST", `/${end}/${Buffer.from(bytes).toString("base64url")}`, { Host: "dying" }, "x"));
        assert.equal(response.status, 502);
      });
    }
  }

  for (const version of ["1.1", "1.0"]) {
    it(`makes a reset of an until-close body visible to HTTP/${version} (RFC 9112 section 8)`, async () => {
      mayDie = new Gate();
      const client = await connect(s.port);
      const bytes = Buffer.from("HTTP/1.1 200 OK\r\n\r\nhalf").toString("base64url");
      await client.send(`GET /rst/${bytes} HTTP/${version}\r\nHost: dying\r\n\r\n`);
      const reader = new MessageReader("response");
      reader.push(Buffer.from(await client.expectUntil("half"), "latin1"));
      mayDie.open();
      await assert.rejects(client.readBody(reader), /stream ended|ECONNRESET/);
      client.destroy();
    });
  }

  it("ends an until-close body at the upstream's end", async () => {
    mayDie.open();
    const bytes = Buffer.from("HTTP/1.1 200 OK\r\n\r\nsome").toString("base64url");
    assert.equal(text(await once(s.port, request("GET", `/fin/${bytes}`, { Host: "dying" }))), "some");
  });

  it("answers 502 to what is no HTTP", async () => {
    mayDie.open();
    for (const bytes of [
      "SSH-2.0-x\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\nA: b\n\n",
    ]) {
      const response = await once(s.port, request("GET", `/fin/${Buffer.from(bytes).toString("base64url")}`, { Host: "dying" }));
      assert.equal(response.status, 502, bytes);
    }
  });

  it("survives fifty clients that leave at every point of an exchange", async () => {
    const bytes = request("POST", "/x", {}, "hello world");
    for (let i = 0; i < 50; i++) {
      const client = await connect(s.port);
      await client.send(bytes.slice(0, 1 + Math.floor((i * bytes.length) / 50)));
      leavings[i % 2]![1](client);
    }
    assert.equal(text(await once(s.port, request("GET", "/"))), "fine");
  });
});
