// Ordinary HTTP/1 traffic through the proxy: every framing in both directions, versions, pipelining, fields.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { header, text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { startOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";
import { seededBuffer, seededHash } from "../support/seeded-content.ts";
import { Gate } from "../support/wait.ts";

/** A request head as the service saw it, without what only the proxy may write. */
const lines = (rawHead: string): string[] => rawHead.split("\r\n").filter((line) => line !== "" && !line.toLowerCase().startsWith("l5d-"));

describe("forwarding", () => {
  const held = new Gate();
  const s = scenario(
    async () => ({
      app: await startApp({ name: "app" }),
      hops: await startOrigin((x) => x.reply(200, "x", { Connection: "X-Up", "X-Up": "1", "Keep-Alive": "timeout=5", "X-Stays": "1" })),
      held: await startOrigin(async (x) => {
        await held.opened;
        await x.reply(200, "held");
      }),
    }),
    (o) => ({
      services: { web: { endpoints: [o.app.address] }, hops: { endpoints: [o.hops.address] }, held: { endpoints: [o.held.address] } },
    }),
  );

  it("answers GET", async () => {
    const response = await once(s.port, request("GET", "/"));
    assert.equal(response.status, 200);
    assert.equal(response.version, "1.1");
    assert.equal(text(response), "hello");
  });

  it("answers many requests on one connection", async () => {
    const wire = await connect(s.port);
    for (let i = 0; i < 50; i++) {
      await wire.send(request("GET", "/name"));
      assert.equal(text(await wire.expectResponse()), "app");
    }
    wire.endWrite();
    await wire.expectEnd();
  });

  it("passes statuses, with and without a body", async () => {
    const wire = await connect(s.port);
    for (const status of [200, 201, 204, 301, 304, 404, 418, 500, 503]) {
      await wire.send(request("GET", `/status/${status}`));
      const response = await wire.expectResponse();
      assert.equal(response.status, status);
      assert.equal(header(response, "x-origin"), "app");
      assert.equal(text(response), status === 204 || status === 304 ? "" : `status ${status}`);
    }
    wire.destroy();
  });

  it("answers HEAD without a body and goes on with the connection (RFC 9110 section 9.3.2)", async () => {
    const wire = await connect(s.port);
    for (const target of ["/bytes/5000/1", "/chunked/5000/1"]) {
      await wire.send(request("HEAD", target));
      const head = await wire.expectResponse({ isHead: true });
      assert.equal(head.status, 200);
      if (target.startsWith("/bytes")) assert.equal(header(head, "content-length"), "5000");
    }
    await wire.send(request("GET", "/name"));
    assert.equal(text(await wire.expectResponse()), "app");
    wire.destroy();
  });

  for (const [kind, framing] of [
    ["bytes", "length"],
    ["chunked", "chunked"],
  ] as const) {
    for (const size of [0, 1, 1000, 65_536, 3_000_000]) {
      it(`downloads ${size} bytes, ${framing}`, async () => {
        const wire = await connect(s.port);
        for (let round = 0; round < 2; round++) {
          await wire.send(request("GET", `/${kind}/${size}/${size + round}`));
          const response = await wire.expectResponse({ hashOnly: true });
          assert.equal(response.framing, framing);
          assert.equal(response.bodyHash, seededHash(size + round, size));
          if (kind === "chunked") assert.deepEqual(response.trailers, [["X-Sum", response.bodyHash]]);
        }
        wire.destroy();
      });
    }
  }

  it("downloads a body that ends by close", async () => {
    const response = await once(s.port, request("GET", "/close/500000/3"), { hashOnly: true });
    assert.equal(response.bodyHash, seededHash(3, 500_000));
  });

  for (const size of [0, 1, 70_000, 3_000_000]) {
    it(`uploads ${size} bytes with Content-Length`, async () => {
      const wire = await connect(s.port);
      void wire.send(`POST /hash HTTP/1.1\r\nHost: web\r\nContent-Length: ${size}\r\n\r\n`);
      void wire.send(seededBuffer(5, size));
      assert.equal(text(await wire.expectResponse()), `${size} ${seededHash(5, size)} `);
      await wire.send(request("GET", "/name"));
      assert.equal(text(await wire.expectResponse()), "app");
      wire.destroy();
    });

    it(`uploads ${size} bytes chunked, with trailers`, async () => {
      const wire = await connect(s.port);
      void wire.send("PUT /hash HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n");
      const content = seededBuffer(6, size);
      for (let at = 0, step = 1; at < size; at += step, step = Math.min(step * 3, 100_000)) {
        const part = content.subarray(at, at + step);
        void wire.send(`${part.length.toString(16)}\r\n`);
        void wire.send(part);
        void wire.send("\r\n");
      }
      void wire.send("0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n");
      assert.equal(text(await wire.expectResponse()), `${size} ${seededHash(6, size)} X-One=1,X-Two=2`);
      await wire.send(request("GET", "/name"));
      assert.equal(text(await wire.expectResponse()), "app");
      wire.destroy();
    });
  }

  it("removes chunk extensions on the way (RFC 9112 section 7.1.1)", async () => {
    const bytes = 'POST /hash HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2;c="d e"\r\nde\r\n0;z\r\n\r\n';
    const response = await once(s.port, bytes);
    // The origin's reader refuses extensions: an answer proves that none arrived.
    assert.match(text(response), /^5 36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c /);
  });

  it("takes a request in single bytes", async () => {
    const wire = await connect(s.port);
    for (const byte of "POST /hash HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n") await wire.send(byte);
    assert.match(text(await wire.expectResponse()), /^3 ba7816bf/);
    wire.destroy();
  });

  it("answers pipelined requests in order (RFC 9112 section 9.3.2)", async () => {
    const wire = await connect(s.port);
    const targets = Array.from({ length: 40 }, (_, i) => `/bytes/${i * 37}/${i}`);
    await wire.send(targets.map((target) => request("GET", target)).join(""));
    for (const [i] of targets.entries()) {
      const response = await wire.expectResponse({ hashOnly: true });
      assert.equal(header(response, "x-seed"), String(i));
      assert.equal(response.bodyHash, seededHash(i, i * 37));
    }
    wire.destroy();
  });

  it("keeps the order when the first of the pipeline is the slowest", async () => {
    const wire = await connect(s.port);
    await wire.send(request("GET", "/a", { Host: "held" }) + request("POST", "/hash", {}, "abc") + request("GET", "/name"));
    // A later connection is served meanwhile.
    assert.equal(text(await once(s.port, request("GET", "/name"))), "app");
    assert.equal(wire.bytesReceived, 0);
    held.open();
    assert.equal(text(await wire.expectResponse()), "held");
    assert.match(text(await wire.expectResponse()), /^3 ba7816bf/);
    assert.equal(text(await wire.expectResponse()), "app");
    wire.destroy();
  });

  it("answers a client that half-closes right after its request", async () => {
    const wire = await connect(s.port);
    await wire.send(request("GET", "/bytes/200000/4"));
    wire.endWrite();
    assert.equal((await wire.expectResponse({ hashOnly: true })).bodyHash, seededHash(4, 200_000));
    await wire.expectEnd();
  });

  it("closes after the answer when asked to (RFC 9112 section 9.6)", async () => {
    const wire = await connect(s.port);
    await wire.send(request("GET", "/name", { Connection: "close" }));
    const response = await wire.expectResponse();
    assert.equal(header(response, "connection"), "close");
    await wire.expectEnd();
    wire.endWrite();
  });

  it("skips an empty line before a request (RFC 9112 section 2.2)", async () => {
    const wire = await connect(s.port);
    await wire.send(`\r\n${request("GET", "/name")}`);
    assert.equal(text(await wire.expectResponse()), "app");
    await wire.send(`\r\n${request("GET", "/name")}`);
    assert.equal(text(await wire.expectResponse()), "app");
    wire.destroy();
  });

  describe("HTTP/1.0", () => {
    it("answers and closes", async () => {
      const wire = await connect(s.port);
      await wire.send("GET /name HTTP/1.0\r\nHost: web\r\n\r\n");
      assert.equal(text(await wire.expectResponse()), "app");
      await wire.expectEnd();
      wire.endWrite();
    });

    it("works without Host: the default service", async () => {
      assert.equal(text(await once(s.port, "GET /name HTTP/1.0\r\n\r\n")), "app");
    });

    it("keeps the connection when asked to and the length is known", async () => {
      const wire = await connect(s.port);
      for (let i = 0; i < 3; i++) {
        await wire.send("GET /bytes/1000/1 HTTP/1.0\r\nHost: web\r\nConnection: keep-alive\r\n\r\n");
        const response = await wire.expectResponse({ hashOnly: true });
        assert.match(header(response, "connection") ?? "", /^keep-alive$/i);
        assert.equal(response.bodyHash, seededHash(1, 1000));
      }
      wire.destroy();
    });

    it("decodes a chunked answer and ends it by close (RFC 9112 section 7.1)", async () => {
      const wire = await connect(s.port);
      await wire.send("GET /chunked/300000/8 HTTP/1.0\r\nHost: web\r\nConnection: keep-alive\r\n\r\n");
      const response = await wire.expectResponse({ hashOnly: true });
      assert.equal(header(response, "transfer-encoding"), undefined);
      assert.equal(response.framing, "until-close");
      assert.equal(response.bodyHash, seededHash(8, 300_000));
      wire.endWrite();
    });

    it("sends the request on as HTTP/1.1", async () => {
      assert.match(text(await once(s.port, "GET /echo HTTP/1.0\r\nHost: web\r\n\r\n")), /^GET \/echo HTTP\/1\.1\r\n/);
    });
  });

  describe("fields", () => {
    it("forwards names, order and white space as they came", async () => {
      const head =
        "GET /echo?a=%2f&b= HTTP/1.1\r\nhOsT: web\r\nX-One:1\r\nx-TWO:   2  \r\nACCEPT: */*\r\nX-One: again\r\nX-Latin: caf\xe9\r\n\r\n";
      assert.deepEqual(lines(text(await once(s.port, head))), lines(head));
    });

    it("removes hop-by-hop fields of requests, those that Connection names too (RFC 9110 section 7.6.1)", async () => {
      const fields = {
        Connection: "X-Drop, keep-alive",
        "X-Drop": "1",
        "Keep-Alive": "timeout=5",
        "Proxy-Connection": "keep-alive",
        "X-Stays": "1",
      };
      const seen = text(await once(s.port, request("GET", "/echo", fields)));
      assert.match(seen, /x-stays/i);
      assert.doesNotMatch(seen, /x-drop|keep-alive/i);
    });

    it("removes hop-by-hop fields of responses", async () => {
      const response = await once(s.port, request("GET", "/", { Host: "hops" }));
      assert.equal(header(response, "x-stays"), "1");
      for (const name of ["x-up", "keep-alive"]) assert.equal(header(response, name), undefined, name);
    });

    it("adds no X-Forwarded-For and no Via by itself", async () => {
      assert.doesNotMatch(text(await once(s.port, request("GET", "/echo"))), /x-forwarded-for|via/i);
    });

    it("scrubs l5d fields that only a proxy may write", async () => {
      const fields = { "l5d-client-id": "root", "l5d-dst-canonical": "x", "L5D-Dst-Override": "hops", l5d_client_id: "root" };
      assert.doesNotMatch(text(await once(s.port, request("GET", "/echo", fields))), /root|override/i);
    });
  });

  describe("targets and names", () => {
    it("routes by Host, with or without port and domain, in any case", async () => {
      for (const host of ["web", "web:80", "WEB", "web.default", "web.default.svc.cluster.local", "web.default.svc.cluster.local:80"]) {
        assert.equal(text(await once(s.port, request("GET", "/name", { Host: host }))), "app", host);
      }
    });

    it("gives what names no service to the default", async () => {
      for (const host of [`127.0.0.1:${s.port}`, "localhost", "localhost:4140", "[::1]:80", "10.1.2.3"]) {
        assert.equal(text(await once(s.port, request("GET", "/name", { Host: host }))), "app", host);
      }
    });

    it("routes by an absolute-form target and rewrites Host to match (RFC 9112 section 3.2.2)", async () => {
      const seen = text(await once(s.port, request("GET", "http://web/echo?x=1", { Host: "hops" })));
      assert.match(seen, /^GET \/echo\?x=1 HTTP\/1\.1\r\n/);
      assert.match(seen, /^host: web\r$/im);
      assert.doesNotMatch(seen, /hops/);
    });

    it("forwards OPTIONS *", async () => {
      const before = s.origins.app.requests.length;
      await once(s.port, request("OPTIONS", "*"));
      assert.equal(s.origins.app.requests[before]!.startLine, "OPTIONS * HTTP/1.1");
    });

    it("forwards unknown methods", async () => {
      const before = s.origins.app.requests.length;
      assert.equal((await once(s.port, request("FROBNICATE", "/x"))).status, 200);
      assert.equal(s.origins.app.requests[before]!.method, "FROBNICATE");
    });
  });

  it("uses few connections to the service for many requests", () => {
    const { connections, requests } = s.origins.app;
    assert.ok(connections.length * 3 < requests.length, `${connections.length} connections for ${requests.length} requests`);
  });

  it("leaves every origin without an error", () => {
    for (const origin of Object.values(s.origins)) assert.deepEqual(origin.errors, []);
  });
});
