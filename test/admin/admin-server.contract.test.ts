// One contract, every backend: requests as bytes on real sockets.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { test, type TestContext } from "node:test";
import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import WebSocket from "ws";
import { type AdminRequest, BODY_BYTES_MAX, PUBLISH_BACKLOG_BYTES_MAX } from "../../src/admin/admin-server.ts";
import { createAdminServer } from "../../src/admin/create-admin-server.ts";
import { BACKENDS, run } from "./support/backends.ts";
import { ask, parse, type RawAnswer, rawBytes } from "./support/raw-http.ts";

/** Waits until a claim holds. */
async function until(claim: () => boolean, what: string, deadlineMs = 5_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!claim()) {
    if (performance.now() > end) assert.fail(`not within ${deadlineMs} ms: ${what}`);
    await nextTurn();
  }
}

for (const backend of BACKENDS) {
  test(`${backend}: a request reaches its handler with method, path, query, headers and body`, async (t) => {
    const seen: AdminRequest[] = [];
    const { port } = await run(t, backend, (server) => {
      server.route("PUT", "/thing", (request) => {
        seen.push(request);
        return { status: 200, headers: { "content-type": "text/x-test" }, body: "ü done\n" };
      });
    });
    const answer = await ask(port, "PUT", "/thing?a&b=c", { "X-Custom": "Value" }, "the ü body");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "text/x-test");
    assert.equal(answer.headers["content-length"], "8");
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.equal(answer.body.toString(), "ü done\n");
    const [request] = seen;
    assert.equal(request!.method, "PUT");
    assert.equal(request!.path, "/thing");
    assert.equal(request!.query, "a&b=c");
    assert.equal(request!.headers["x-custom"], "Value");
    assert.equal(request!.body, "the ü body");
    assert.equal(request!.remoteIsLoopback, true);
  });

  test(`${backend}: fields of the same name are joined`, async (t) => {
    const { port } = await run(t, backend, (server) => {
      server.route("GET", "/", (request) => ({ status: 200, body: request.headers["x-list"] ?? "" }));
    });
    const bytes = await rawBytes(port, "GET / HTTP/1.1\r\nHost: localhost\r\nX-List: a\r\nX-List: b\r\nConnection: close\r\n\r\n");
    assert.equal(parse(bytes).body.toString(), "a, b");
  });

  test(`${backend}: a keep-alive connection carries several requests`, async (t) => {
    const { port } = await run(t, backend, (server) => {
      server.route("GET", "/one", () => ({ status: 200, body: "1" }));
      server.route("GET", "/two", async () => ({ status: 200, body: "2" }));
    });
    const head = (path: string, more: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
    const socket = connect(port, "127.0.0.1");
    t.after(() => socket.destroy());
    let text = "";
    socket.setEncoding("latin1").on("data", (chunk) => (text += chunk));
    socket.write(head("/one", ""));
    await until(() => text.endsWith("\r\n\r\n1"), "the first answer");
    socket.write(head("/two", ""));
    await until(() => text.endsWith("\r\n\r\n2"), "the second answer");
  });

  test(`${backend}: an unknown path is 404 with an empty body`, async (t) => {
    const { port } = await run(t, backend, () => {});
    const answer = await ask(port, "GET", "/nothing");
    assert.equal(answer.status, 404);
    assert.equal(answer.body.length, 0);
    assert.equal(answer.headers["content-length"], "0");
  });

  test(`${backend}: a method without a route is 405 with Allow`, async (t) => {
    const { port } = await run(t, backend, (server) => {
      server.route("GET", "/level", () => ({ status: 200, body: "info" }));
      server.route("PUT", "/level", () => ({ status: 204, body: "" }));
    });
    const answer = await ask(port, "POST", "/level", {}, "x");
    assert.equal(answer.status, 405);
    assert.deepEqual(answer.headers["allow"]!.split(", ").toSorted(), ["GET", "HEAD", "PUT"]);
  });

  test(`${backend}: a 204 has neither a body nor a length (RFC 9110 8.6)`, async (t) => {
    const { port } = await run(t, backend, (server) => server.route("PUT", "/level", () => ({ status: 204, body: "" })));
    const answer = await headOnly(t, port, "PUT /level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx");
    assert.equal(answer.status, 204);
    assert.equal(answer.headers["content-length"], undefined);
    assert.equal(answer.body.length, 0);
    assert.equal((await ask(port, "PUT", "/level", {}, "x")).status, 204);
  });

  test(`${backend}: HEAD is answered as GET without the body (RFC 9110 9.3.2)`, async (t) => {
    const { port } = await run(t, backend, (server) => {
      server.route("GET", "/text", () => ({ status: 200, body: "12345" }));
      server.route("*", "/stream", () => ({ status: 200, body: parts(["a", "b"]) }));
    });
    const text = await ask(port, "HEAD", "/text");
    assert.equal(text.status, 200);
    assert.equal(text.headers["content-length"], "5");
    assert.equal(text.body.length, 0);
    const stream = await headOnly(t, port, "HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.equal(stream.headers["content-length"], undefined);
    assert.equal(stream.body.length, 0);
    assert.equal((await ask(port, "HEAD", "/stream")).body.length, 0);
  });

  test(`${backend}: a streamed body arrives whole, in order, with back-pressure`, async (t) => {
    const slices = Array.from({ length: 400 }, (_, index) => `${index} `.repeat(8_000));
    const { port } = await run(t, backend, (server) => server.route("GET", "/big", () => ({ status: 200, body: parts(["", ...slices]) })));
    const answer = await ask(port, "GET", "/big");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["transfer-encoding"], "chunked");
    assert.ok(answer.body.equals(Buffer.from(slices.join(""))));
  });

  test(`${backend}: a stream is ended when its client leaves`, async (t) => {
    let isEnded = false;
    let made = 0;
    const { port, errors } = await run(t, backend, (server) => {
      server.route("GET", "/endless", () => ({ status: 200, body: endless() }));
    });
    async function* endless(): AsyncGenerator<string> {
      try {
        for (;;) {
          made += 1;
          yield "x".repeat(64 * 1024);
          await nextTurn();
        }
      } finally {
        isEnded = true;
      }
    }
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(socket, "data");
    socket.destroy();
    await until(() => isEnded, "the generator's end");
    assert.ok(made < 10_000);
    assert.deepEqual(errors, []);
  });

  test(`${backend}: a stream that breaks never looks complete`, async (t) => {
    const { port, errors } = await run(t, backend, (server) => {
      server.route("GET", "/broken", () => ({
        status: 200,
        body: (async function* () {
          yield "first";
          await nextTurn();
          throw new Error("broken on purpose");
        })(),
      }));
    });
    const bytes = await rawBytes(port, "GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.ok(!bytes.toString("latin1").endsWith("0\r\n\r\n"));
    assert.equal(errors.length, 1);
  });

  test(`${backend}: a handler that throws is a 500 that says nothing, and is reported`, async (t) => {
    const { port, errors } = await run(t, backend, (server) => {
      server.route("GET", "/throws", () => {
        throw new Error("secret detail");
      });
      server.route("GET", "/rejects", () => Promise.reject(new Error("secret detail")));
    });
    for (const path of ["/throws", "/rejects"]) {
      const answer = await ask(port, "GET", path);
      assert.equal(answer.status, 500);
      assert.ok(!answer.body.toString().includes("secret"));
    }
    assert.equal(errors.length, 2);
  });

  test(`${backend}: a body at the limit is taken, one over it is 413`, async (t) => {
    const { port } = await run(t, backend, (server) =>
      server.route("PUT", "/body", (request) => ({ status: 200, body: String(request.body.length) })),
    );
    assert.equal((await ask(port, "PUT", "/body", {}, "x".repeat(BODY_BYTES_MAX))).body.toString(), String(BODY_BYTES_MAX));
    assert.equal((await ask(port, "PUT", "/body", {}, "x".repeat(BODY_BYTES_MAX + 1))).status, 413);
  });

  test(`${backend}: a name that is not ours in Host is refused (DNS rebinding)`, async (t) => {
    const { port } = await run(t, backend, (server) => server.route("GET", "/x", () => ({ status: 200, body: "x" })));
    for (const host of ["evil.example", `evil.example:${port}`, "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "a b"]) {
      assert.equal((await ask(port, "GET", "/x", { host })).status, 403, host);
    }
    for (const host of ["localhost", `LocalHost:${port}`, `127.0.0.1:${port}`, "10.0.0.7", `[::1]:${port}`]) {
      assert.equal((await ask(port, "GET", "/x", { host })).status, 200, host);
    }
  });

  test(`${backend}: a foreign Origin may read but not change`, async (t) => {
    const { port } = await run(t, backend, (server) => {
      server.route("GET", "/x", () => ({ status: 200, body: "x" }));
      server.route("POST", "/x", () => ({ status: 200, body: "x" }));
    });
    const own = `http://127.0.0.1:${port}`;
    assert.equal((await ask(port, "POST", "/x", { origin: own })).status, 200);
    assert.equal((await ask(port, "GET", "/x", { origin: "http://evil.example" })).status, 200);
    for (const origin of ["http://evil.example", "null", `http://127.0.0.1:${port + 1}`, `${own}.evil.example`]) {
      assert.equal((await ask(port, "POST", "/x", { origin })).status, 403, origin);
    }
  });

  test(`${backend}: HTTP/1.0 gets an answer and the end of the connection`, async (t) => {
    const { port } = await run(t, backend, (server) => server.route("GET", "/x", () => ({ status: 200, body: "x" })));
    const answer = parse(await rawBytes(port, "GET /x HTTP/1.0\r\n\r\n"));
    // uWebSockets.js does not speak 1.0 and says so.
    assert.equal(answer.status, backend === "uws" ? 505 : 200);
  });

  test(`${backend}: an upgrade to something else than WebSocket is an ordinary request (RFC 9110 7.8)`, async (t) => {
    const { port } = await run(t, backend, (server) => {
      server.websocket("/live", "live");
      server.route("GET", "/x", () => ({ status: 200, body: "plain" }));
    });
    const bytes = await rawBytes(port, "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n");
    assert.equal(parse(bytes).body.toString(), "plain");
  });

  test(`${backend}: bytes that are not HTTP end the connection, the server lives on`, async (t) => {
    const { port } = await run(t, backend, (server) => server.route("GET", "/x", () => ({ status: 200, body: "x" })));
    await rawBytes(port, Buffer.from("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03nonsense\r\n\r\n", "latin1"));
    assert.equal((await ask(port, "GET", "/x")).status, 200);
  });

  test(`${backend}: a taken port is refused with its reason`, async (t) => {
    const holder = createServer().listen({ host: "127.0.0.1", port: 0 });
    await once(holder, "listening");
    t.after(() => holder.close());
    const { port } = holder.address() as { port: number };
    const server = await createAdminServer({ backend, onError: () => {} });
    t.after(() => server.close());
    await assert.rejects(server.listen("127.0.0.1", port), { code: "EADDRINUSE" });
  });

  test(`${backend}: two servers cannot share a port`, async (t) => {
    const { port } = await run(t, backend, () => {});
    const second = await createAdminServer({ backend, onError: () => {} });
    t.after(() => second.close());
    await assert.rejects(second.listen("127.0.0.1", port), { code: "EADDRINUSE" });
  });

  test(`${backend}: after close nothing is accepted and no connection is left`, async (t) => {
    const { server, port } = await run(t, backend, (one) => one.route("GET", "/x", () => ({ status: 200, body: "x" })));
    const idle = connect(port, "127.0.0.1");
    idle.on("error", () => {});
    idle.write("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(idle, "data");
    await server.close();
    if (!idle.closed) await once(idle, "close");
    const late = connect(port, "127.0.0.1");
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
  });

  test(`${backend}: what is published reaches the subscribers of that topic, in order`, async (t) => {
    const { server, port } = await run(t, backend, (one) => {
      one.websocket("/a", "topic-a");
      one.websocket("/b", "topic-b");
    });
    const got: Record<string, string[]> = { a1: [], a2: [], b: [] };
    for (const [name, path] of [
      ["a1", "/a"],
      ["a2", "/a"],
      ["b", "/b"],
    ] as const) {
      const client = new WebSocket(`ws://127.0.0.1:${port}${path}`);
      t.after(() => client.terminate());
      client.on("message", (data) => got[name]!.push(String(data)));
      await once(client, "open");
    }
    await until(() => server.subscribers("topic-a") === 2 && server.subscribers("topic-b") === 1, "subscribers");
    server.publish("topic-a", "one");
    server.publish("topic-a", "zwei ü");
    server.publish("topic-b", "b");
    server.publish("nobody", "lost");
    await until(() => got["a1"]!.length === 2 && got["a2"]!.length === 2 && got["b"]!.length === 1, "messages");
    assert.deepEqual(got, { a1: ["one", "zwei ü"], a2: ["one", "zwei ü"], b: ["b"] });
  });

  test(`${backend}: a subscriber that leaves is forgotten`, async (t) => {
    const { server, port } = await run(t, backend, (one) => one.websocket("/a", "a"));
    const client = new WebSocket(`ws://127.0.0.1:${port}/a`);
    await once(client, "open");
    await until(() => server.subscribers("a") === 1, "one subscriber");
    client.terminate();
    await until(() => server.subscribers("a") === 0, "no subscriber");
    server.publish("a", "into the void");
  });

  test(`${backend}: a WebSocket of a foreign Origin, of a foreign Host, or of another path is refused`, async (t) => {
    const { server, port } = await run(t, backend, (one) => one.websocket("/a", "a"));
    const refused = async (path: string, headers: Record<string, string>): Promise<number> => {
      const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
      client.on("error", () => {});
      const [, response] = await once(client, "unexpected-response");
      client.terminate();
      return (response as { statusCode: number }).statusCode;
    };
    assert.equal(await refused("/a", { origin: "http://evil.example" }), 403);
    assert.equal(await refused("/a", { host: "evil.example" }), 403);
    assert.equal(await refused("/other", {}), 404);
    assert.equal(server.subscribers("a"), 0);
  });

  test(`${backend}: a subscriber that does not read is closed, others are served`, async (t) => {
    const { server, port } = await run(t, backend, (one) => one.websocket("/a", "a"));
    const slow = new WebSocket(`ws://127.0.0.1:${port}/a`);
    const good = new WebSocket(`ws://127.0.0.1:${port}/a`);
    slow.on("error", () => {});
    t.after(() => {
      slow.terminate();
      good.terminate();
    });
    let bytes = 0;
    good.on("message", (data) => (bytes += (data as Buffer).length));
    await Promise.all([once(slow, "open"), once(good, "open")]);
    await until(() => server.subscribers("a") === 2, "two subscribers");
    slow.pause();
    const message = "x".repeat(PUBLISH_BACKLOG_BYTES_MAX / 4);
    let published = 0;
    while (server.subscribers("a") === 2) {
      server.publish("a", message);
      published += message.length;
      assert.ok(published < 256 * PUBLISH_BACKLOG_BYTES_MAX, "the backlog is not bounded");
      await until(() => bytes === published, "the good subscriber");
    }
    assert.equal(server.subscribers("a"), 1);
  });
}

/** Sends a request, and behind its answer's head another one, whose answer shows that no body came before it. */
async function headOnly(t: TestContext, port: number, request: string): Promise<RawAnswer> {
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  const chunks: Buffer[] = [];
  const received = (): Buffer => Buffer.concat(chunks);
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.write(request);
  await until(() => received().includes("\r\n\r\n"), "the head");
  const end = received().indexOf("\r\n\r\n") + 4;
  socket.write("GET /no-such-path HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await until(() => received().indexOf("\r\n\r\n", end) > 0, "the next head");
  const next = received().indexOf("HTTP/1.1 404", end);
  return parse(received().subarray(0, next));
}

async function* parts(list: readonly string[]): AsyncGenerator<string> {
  for (const part of list) yield part;
}
