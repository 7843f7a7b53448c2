// HTTP/2 on either side: each pair of protocols, translated as RFC 9113 section 8 says, through a real proxy.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { header, text } from "../support/http-lite.ts";
import { startOrigin, startRawOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";
import { seededBuffer } from "../support/seeded-content.ts";
import { waitUntil, within } from "../support/wait.ts";

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Answers by path; `/echo` returns what came. */
function startH2c(name: string): Promise<H2cOrigin> {
  return H2cOrigin.start(name, (stream, headers) => {
    const path = String(headers[":path"]);
    if (path === "/echo") {
      stream.respond({ ":status": 200, "x-method": String(headers[":method"]) });
      stream.pipe(stream);
    } else if (path === "/trailers") {
      stream.respond({ ":status": 200, "content-type": "text/plain" }, { waitForTrailers: true });
      stream.once("wantTrailers", () => stream.sendTrailers({ "x-sum": "42", "x-other": "b" }));
      stream.end("with trailers");
    } else if (path === "/early") {
      stream.additionalHeaders({ ":status": 103, link: "</a>; rel=preload" });
      stream.respond({ ":status": 200 });
      stream.end("late");
    } else if (path === "/nothing") {
      stream.respond({ ":status": 204 }, { endStream: true });
    } else if (path.startsWith("/bytes/")) {
      const size = Number(path.slice(7));
      stream.respond({ ":status": 200, "content-length": String(size) });
      stream.end(seededBuffer(size, size));
    } else if (path === "/wait") {
      stream.resume();
    } else {
      stream.respond({ ":status": 200, "x-origin": name });
      stream.end(JSON.stringify(headers));
    }
  });
}

describe("HTTP/2 to HTTP/2", () => {
  const s = scenario(
    async () => ({ web: await startH2c("one") }),
    ({ web }) => ({ services: { web: { endpoints: [web.address] } } }),
  );

  it("carries many requests of one connection over one upstream connection", async () => {
    const client = new H2Client(s.port);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => client.get(`/r${i}`)));
    assert.deepEqual(
      answers.map(({ body }) => JSON.parse(body.toString())[":path"]),
      Array.from({ length: 50 }, (_, i) => `/r${i}`),
    );
    assert.equal(s.origins.web.sessionsEver, 1);
    client.close();
  });

  it("keeps authority, path, scheme and fields, and drops what is hop-by-hop or Weft's own", async () => {
    const client = new H2Client(s.port);
    const { body } = await client.get("/a?b=c", { "x-a": "1", "l5d-client-id": "forged", te: "trailers", cookie: "a=1; b=2" });
    const seen = JSON.parse(body.toString());
    assert.equal(seen[":authority"], "web");
    assert.equal(seen[":path"], "/a?b=c");
    assert.equal(seen[":scheme"], "http");
    assert.equal(seen["x-a"], "1");
    assert.equal(seen.cookie, "a=1; b=2");
    assert.equal(seen.te, "trailers");
    assert.equal(seen["l5d-client-id"], undefined);
    client.close();
  });

  it("echoes bodies of every size both ways", async () => {
    const client = new H2Client(s.port);
    for (const size of [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000, 5_000_000]) {
      const sent = seededBuffer(size, size);
      const { body } = await client.request({ ":path": "/echo", ":method": "POST" }, sent);
      assert.equal(sha256(body), sha256(sent), `${size} bytes`);
    }
    client.close();
  });

  it("carries trailers both ways", async () => {
    const client = new H2Client(s.port);
    const answer = await client.request({ ":path": "/trailers", ":method": "POST" }, "x", { "x-sent": "1" });
    assert.equal(answer.body.toString(), "with trailers");
    assert.deepEqual([answer.trailers!["x-sum"], answer.trailers!["x-other"]], ["42", "b"]);
    client.close();
  });

  it("forwards interim responses, empty ones, and HEAD", async () => {
    const client = new H2Client(s.port);
    const early = await client.get("/early");
    assert.deepEqual([early.informational, early.body.toString()], [[103], "late"]);
    assert.equal((await client.get("/nothing")).status, 204);
    const head = await client.request({ ":path": "/bytes/1000", ":method": "HEAD" });
    assert.deepEqual([head.headers["content-length"], head.body.length], ["1000", 0]);
    client.close();
  });

  it("cancels upstream when the client resets a stream", async () => {
    const client = new H2Client(s.port);
    const before = s.origins.web.resets.length;
    const arrived = s.origins.web.requests.length;
    const stream = client.open({ ":path": "/wait" });
    await waitUntil("the request at the origin", () => s.origins.web.requests.length > arrived);
    stream.close(8);
    await waitUntil("the reset at the origin", () => s.origins.web.resets.length > before);
    assert.equal((await client.get("/after")).status, 200);
    client.close();
  });

  it("answers what it refuses itself: unknown names, and gRPC calls in gRPC's own way", async () => {
    const client = new H2Client(s.port, "nobody");
    const plain = await client.get("/");
    assert.equal(plain.status, 404);
    assert.match(String(plain.headers["l5d-proxy-error"]), /^\[WEFT_NO_ROUTE\]/);
    const call = await client.request({ ":path": "/a.B/C", ":method": "POST", "content-type": "application/grpc" }, "x");
    assert.deepEqual([call.status, call.headers["grpc-status"]], [200, "5"]);
    client.close();
  });

  it("downloads in parallel, streams of different speed, every body whole", async () => {
    const client = new H2Client(s.port);
    const sizes = Array.from({ length: 24 }, (_, i) => 100_000 + i * 50_001);
    const answers = await Promise.all(sizes.map((size) => client.get(`/bytes/${size}`)));
    for (const [i, size] of sizes.entries()) assert.equal(sha256(answers[i]!.body), sha256(seededBuffer(size, size)));
    client.close();
  });
});

describe("HTTP/2 to HTTP/1", () => {
  const s = scenario(
    async () => ({
      web: await startOrigin(async (exchange) => {
        const { request: seen } = exchange;
        const body = await exchange.body();
        if (seen.target === "/chunked") {
          await exchange.wire.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n",
          );
        } else {
          await exchange.reply(200, body.body.length > 0 ? body.body : "plain", { "X-Mixed-Case": "yes", "Keep-Alive": "timeout=5" });
        }
      }),
    }),
    ({ web }) => ({ services: { web: { endpoints: [`127.0.0.1:${web.port}`], protocol: "http1" as const } } }),
  );

  it("makes an HTTP/1.1 request of it: Host, joined cookies, no pseudo-header fields", async () => {
    const client = new H2Client(s.port);
    const answer = await client.get("/x?y", { cookie: ["a=1", "b=2"], "x-a": "b" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["x-mixed-case"], "yes");
    assert.equal(answer.headers["keep-alive"], undefined);
    const seen = s.origins.web.requests.at(-1)!;
    assert.deepEqual([seen.method, seen.target], ["GET", "/x?y"]);
    assert.equal(header(seen, "host"), "web");
    assert.equal(header(seen, "cookie"), "a=1; b=2");
    assert.ok(seen.headers.every(([name]) => !name.startsWith(":")));
    client.close();
  });

  it("sends a body of known length with it, and one of unknown length in chunks", async () => {
    const client = new H2Client(s.port);
    const sent = seededBuffer(3, 200_000);
    const known = await client.request({ ":path": "/", ":method": "POST", "content-length": String(sent.length) }, sent);
    assert.equal(sha256(known.body), sha256(sent));
    assert.equal(header(s.origins.web.requests.at(-1)!, "transfer-encoding"), undefined);
    const unknown = await client.request({ ":path": "/", ":method": "POST" }, sent, { "x-last": "1" });
    assert.equal(sha256(unknown.body), sha256(sent));
    assert.equal(header(s.origins.web.requests.at(-1)!, "transfer-encoding"), "chunked");
    client.close();
  });

  it("decodes chunked answers, trailers and all", async () => {
    const client = new H2Client(s.port);
    const answer = await client.get("/chunked");
    assert.equal(answer.body.toString(), "abcde");
    assert.equal(answer.headers["transfer-encoding"], undefined);
    assert.equal(answer.trailers!["x-sum"], "7");
    client.close();
  });
});

describe("HTTP/1 to HTTP/2", () => {
  const s = scenario(
    async () => ({ web: await startH2c("h2") }),
    ({ web }) => ({ services: { web: { endpoints: [web.address], protocol: "http2" as const } } }),
  );

  it("makes an HTTP/2 request of it", async () => {
    const answer = await once(s.port, request("GET", "/p?q", { Host: "web", "X-Upper": "Kept", Connection: "X-Hop", "X-Hop": "1" }));
    assert.equal(answer.status, 200);
    const seen = JSON.parse(text(answer));
    assert.equal(seen[":authority"], "web");
    assert.equal(seen[":path"], "/p?q");
    assert.equal(seen["x-upper"], "Kept");
    assert.equal(seen["x-hop"], undefined);
    assert.equal(seen.host, undefined);
  });

  it("keeps the client's connection over many requests", async () => {
    const wire = await connect(s.port);
    for (let i = 0; i < 20; i++) {
      void wire.send(request("GET", `/k${i}`));
      assert.equal(JSON.parse(text(await wire.expectResponse()))[":path"], `/k${i}`);
    }
    wire.destroy();
  });

  it("sends chunked uploads as DATA, and answers of unknown length in chunks with their trailers", async () => {
    const chunked = "POST /echo HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    const answer = await once(s.port, chunked);
    assert.equal(text(answer), "hello world");
    assert.equal(header(answer, "transfer-encoding"), "chunked");
    const trailers = await once(s.port, request("GET", "/trailers"));
    assert.equal(text(trailers), "with trailers");
    assert.ok(trailers.trailers.some(([name, value]) => name.toLowerCase() === "x-sum" && value === "42"));
  });

  it("answers an HTTP/1.0 client, and ends by close", async () => {
    const answer = await once(s.port, "GET /echo HTTP/1.0\r\nHost: web\r\n\r\n");
    assert.equal(answer.status, 200);
  });

  it("uploads and downloads large bodies whole", async () => {
    const sent = seededBuffer(9, 3_000_000);
    const wire = await connect(s.port);
    void wire.send(Buffer.concat([Buffer.from(`POST /echo HTTP/1.1\r\nHost: web\r\nContent-Length: ${sent.length}\r\n\r\n`), sent]));
    assert.equal(sha256((await wire.expectResponse()).body), sha256(sent));
    wire.destroy();
  });
});

describe("one HTTP/2 connection, three endpoints", () => {
  const s = scenario(
    async () => ({ a: await startH2c("a"), b: await startH2c("b"), c: await startH2c("c") }),
    ({ a, b, c }) => ({ services: { web: { endpoints: [a.address, b.address, c.address], loadBalancer: "round-robin" as const } } }),
  );

  it("balances each request by itself", async () => {
    const client = new H2Client(s.port);
    const seen = new Map<string, number>();
    for (let i = 0; i < 30; i++) {
      const { headers } = await client.get("/");
      const name = String(headers["x-origin"]);
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }
    assert.deepEqual([...seen.values()], [10, 10, 10]);
    client.close();
  });

  it("loses no request when an endpoint goes away gracefully, again and again", async () => {
    const client = new H2Client(s.port);
    let isOver = false;
    const churn = (async () => {
      for (let i = 0; i < 20; i++) {
        for (const origin of Object.values(s.origins)) for (const session of origin.sessions) session.close();
        await within("some requests", Promise.all([client.get("/c"), client.get("/d")]));
      }
      isOver = true;
    })();
    let count = 0;
    while (!isOver) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => client.get("/")));
      count += answers.filter(({ status }) => status === 200).length;
      assert.equal(count % 10, 0);
    }
    await churn;
    client.close();
  });
});

describe("an HTTP/2 client, and services of which nobody says what they speak", () => {
  const s = scenario(
    async () => ({
      h1: await startOrigin(async (exchange) => {
        const { body } = await exchange.body();
        await exchange.reply(200, body.length > 0 ? body : "old");
      }),
      // Ends without a word over what it does not understand.
      mute: await startRawOrigin(({ socket }) => {
        socket.once("data", (bytes) => {
          if (bytes.toString("latin1", 0, 3) === "PRI") socket.destroy();
          else socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmute");
        });
      }),
      h2: await startH2c("new"),
    }),
    ({ h1, mute, h2 }) => ({
      default: null,
      services: {
        old: { endpoints: [`127.0.0.1:${h1.port}`] },
        mute: { endpoints: [`127.0.0.1:${mute.port}`] },
        mixed: { endpoints: [`127.0.0.1:${h1.port}`, h2.address], loadBalancer: "round-robin" as const },
        late: { endpoints: [`127.0.0.1:${h1.port}`] },
        declared: { endpoints: [`127.0.0.1:${h1.port}`], protocol: "http2" as const },
      },
    }),
  );

  it("finds out that an endpoint speaks HTTP/1 only, and loses no request over it", async () => {
    const client = new H2Client(s.port, "old");
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => client.get(`/${i}`)));
    assert.ok(answers.every(({ status, body }) => status === 200 && body.toString() === "old"));
    const sent = seededBuffer(5, 50_000);
    const upload = await client.request({ ":path": "/", ":method": "POST" }, sent);
    assert.equal(sha256(upload.body), sha256(sent));
    client.close();
  });

  it("finds out so when the endpoint only closes", async () => {
    const client = new H2Client(s.port, "mute");
    assert.equal((await client.get("/")).body.toString(), "mute");
    assert.equal((await client.get("/")).body.toString(), "mute");
    client.close();
  });

  it("goes by HTTP/2 where it can and by HTTP/1 where it must, endpoint by endpoint", async () => {
    const client = new H2Client(s.port, "mixed");
    const bodies = new Set<string>();
    for (let i = 0; i < 10; i++) {
      const { status, body } = await client.get("/");
      assert.equal(status, 200);
      bodies.add(body.toString().startsWith("{") ? "new" : body.toString());
    }
    assert.deepEqual([...bodies].sort(), ["new", "old"]);
    assert.ok(s.origins.h2.sessionsEver >= 1);
    client.close();
  });

  it("fails where the port is declared to speak HTTP/2, and says so", async () => {
    const client = new H2Client(s.port, "declared");
    const { status, headers } = await client.get("/");
    assert.equal(status, 502);
    assert.match(String(headers["l5d-proxy-error"]), /^\[WEFT_UPSTREAM_PROTOCOL\]/);
    client.close();
  });

  it("keeps an upload that it had to send twice", async () => {
    const client = new H2Client(s.port, "late");
    const sent = seededBuffer(6, 60_000);
    assert.equal(sha256((await client.request({ ":path": "/", ":method": "POST" }, sent)).body), sha256(sent));
    client.close();
  });
});
