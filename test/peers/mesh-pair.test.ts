// Clients and services that other people wrote, with two proxies and mutual TLS between them: no error, mesh TLS only, and few connections.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { parseAb, parseWrk } from "../../bench/load/tools.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import { startOrigin } from "../../bench/peers/start.ts";
import { GrpcClient } from "../grpc/client.ts";
import { INTEROP_CASES } from "../grpc/interop.ts";
import { GrpcServer } from "../grpc/server.ts";
import { largeMessages, longStream } from "../grpc/streams.ts";
import { CLIENT_NAME, SERVER_NAME } from "../support/mesh-files.ts";
import { MeshPair } from "../support/mesh-pair.ts";
import { seededBuffer, seededHash } from "../support/seeded-content.ts";
import { within } from "../support/wait.ts";
import { BigOrigin, type Received } from "./support/big-origin.ts";
import { type Service, startPostgres, startRedis } from "./support/services.ts";
import { succeed } from "./support/tools.ts";

const REQUESTS = 10_000;
const MIB = 1024 * 1024;

/** Connections between the proxies at one time and for one port: a hundred requests at once fill one, and another may end while a third begins. */
const CONNECTIONS_MAX = 3;

/**
 * And one after the other. On a busy machine a client may be silent for longer than detectTimeoutMs: a tunnel is opened for it and given up
 * again, and a connection is replaced after a hundred of those.
 */
const OPENED_MAX = 100;

describe("through two proxies with mutual TLS", () => {
  let folder: string;
  let nginx: Peer;
  let big: BigOrigin;
  let grpc: GrpcServer;
  let chat: Server;
  let redis: Service;
  let postgres: Service;
  let pair: MeshPair;
  let url: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "weft-pair-"));
    nginx = await startOrigin("nginx");
    big = await BigOrigin.start();
    grpc = await GrpcServer.start({ name: "alone" });
    chat = await startChat();
    redis = await startRedis();
    postgres = await startPostgres();
    pair = await MeshPair.start({
      targets: {
        web: { port: nginx.port },
        big: { port: big.port },
        grpc: { port: grpc.port, protocol: "grpc" },
        chat: { port: (chat.address() as { port: number }).port, protocol: "http1" },
        redis: { port: redis.port, protocol: "opaque" },
        postgres: { port: postgres.port, protocol: "opaque" },
      },
      opaque: ["redis", "postgres"],
    });
    url = `http://127.0.0.1:${pair.port}/`;
  });
  after(async () => {
    try {
      // First: the client forgets to reset a call that it cancelled at its beginning, and keeps its connection as long as the server.
      grpc?.stop();
      await pair?.stop();
    } finally {
      await nginx?.child.stop();
      await big?.stop();
      chat?.closeAllConnections();
      chat?.close();
      await redis?.stop();
      await postgres?.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  /** Runs a client; then the far proxy has seen mesh TLS of the near one and nothing else, over few connections. */
  async function carries(target: string, run: () => Promise<void>): Promise<void> {
    await run();
    const port = { direction: "inbound", peer: "src", target_port: String(pair.b.listener(target)) };
    const far = await pair.b.metrics();
    const opened = far.sum("tcp_open_total", { ...port, tls: "true", client_id: CLIENT_NAME });
    assert.ok(opened >= 1 && opened <= OPENED_MAX, `${opened} connections were opened`);
    const open = far.sum("tcp_open_connections", port);
    assert.ok(open >= 1 && open <= CONNECTIONS_MAX, `${open} connections`);
    assert.equal(far.sum("tcp_open_total", port), opened, "connections that are no mesh TLS");
    const near = await pair.a.metrics();
    const dialled = { direction: "outbound", peer: "dst", dst_service: target };
    assert.equal(near.sum("tcp_open_total", { ...dialled, tls: "true", server_id: SERVER_NAME }), opened);
    assert.equal(near.sum("tcp_open_total", dialled), opened);
    for (const metrics of [near, far]) {
      for (const name of [
        "outbound_http_errors_total",
        "inbound_http_errors_total",
        "outbound_tcp_errors_total",
        "inbound_tcp_errors_total",
      ]) {
        for (const error of ["i/o", "unexpected", "bad request", "bad response", "failfast", "reset", "mesh silent"]) {
          assert.equal(metrics.sum(name, { error }), 0, `${name} ${error}`);
        }
      }
    }
  }

  for (const [what, args] of [
    ["without keep-alive", []],
    ["with keep-alive", ["-k"]],
  ] as const) {
    it(`ab ${what}: ${REQUESTS} requests by 100 at once`, () =>
      carries("web", async () => {
        const output = await succeed("ab", ["-q", ...args, "-n", String(REQUESTS), "-c", "100", url]);
        const { requests, errors } = parseAb(output);
        assert.deepEqual({ requests, errors }, { requests: REQUESTS, errors: 0 }, output);
        assert.doesNotMatch(output, /Non-2xx/);
      }));
  }

  it("wrk with 64 connections: no socket error, no status but 2xx", () =>
    carries("web", async () => {
      const output = await succeed("wrk", ["-t1", "-c64", "-d3s", url]);
      const { requests, errors } = parseWrk(output);
      assert.equal(errors, 0, output);
      assert.ok(requests > 100, output);
    }));

  it("curl: HTTP/1.0, chunked, a length, Expect, HTTP/2", () =>
    carries("big", async () => {
      const path = join(folder, "body");
      writeFileSync(path, seededBuffer(1, 3 * MIB));
      const curl = (...args: readonly string[]): Promise<string> =>
        succeed("curl", ["-sS", "--fail", "--max-time", "50", "-H", "Host: big", ...args]);
      const upload = async (...args: readonly string[]): Promise<Received> =>
        JSON.parse(await curl("--data-binary", `@${path}`, ...args, url)) as Received;
      const sha256 = seededHash(1, 3 * MIB);
      const chunked = await upload("-H", "Transfer-Encoding: chunked");
      assert.deepEqual([chunked.transferEncoding, chunked.contentLength, chunked.sha256], ["chunked", null, sha256]);
      const sized = await upload("-H", "Expect:");
      assert.deepEqual([sized.transferEncoding, sized.contentLength, sized.sha256], [null, String(3 * MIB), sha256]);
      const expected = await upload("-H", "Expect: 100-continue", "--expect100-timeout", "40");
      assert.deepEqual([expected.expect, expected.sha256], ["100-continue", sha256]);
      const multiplexed = await upload("--http2-prior-knowledge");
      assert.equal(multiplexed.sha256, sha256);
      const old = await upload("--http1.0");
      assert.deepEqual([old.contentLength, old.sha256], [String(3 * MIB), sha256]);
      for (const version of ["--http1.0", "--http1.1", "--http2-prior-knowledge"]) {
        for (const framing of ["", "&chunked"]) {
          const hash = createHash("sha256");
          await succeed("curl", ["-sS", "--fail", version, "-H", "Host: big", `${url}seeded?seed=2&size=${5 * MIB}${framing}`], {
            onStdout: (chunk) => hash.update(chunk),
          });
          assert.equal(hash.digest("hex"), seededHash(2, 5 * MIB), `${version} ${framing}`);
        }
      }
    }));

  it("grpc-js: the interoperability cases, large messages, long streams", () =>
    carries("grpc", async () => {
      const client = new GrpcClient(`127.0.0.1:${pair.port}`, { authority: "grpc" });
      try {
        for (const run of Object.values(INTEROP_CASES)) await run(client);
        await largeMessages(client);
        await longStream(client, 5_000);
      } finally {
        client.close();
      }
    }));

  it("redis: values small and large, 20000 pipelined commands on 50 connections", () =>
    carries("redis", async () => {
      const port = ["-p", String(pair.a.listener("to-redis"))];
      await succeed("redis-cli", [...port, "set", "key", "a value"]);
      assert.equal(await succeed("redis-cli", [...port, "get", "key"]), "a value\n");
      const script = "redis.call('set', KEYS[1], string.rep('x', 8388608)) return redis.call('strlen', KEYS[1])";
      assert.equal(await succeed("redis-cli", [...port, "eval", script, "1", "large"]), "8388608\n");
      assert.equal((await succeed("redis-cli", [...port, "get", "large"])).length, 8_388_609);
      const output = await succeed("redis-benchmark", [...port, "-c", "50", "-n", "20000", "-P", "4", "-t", "set,get", "--csv"]);
      assert.match(output, /"SET","\d[\s\S]*"GET","\d/);
      assert.doesNotMatch(output, /error/i);
    }));

  it("PostgreSQL: psql loads a table, reads it, and sees the server's own error", () =>
    carries("postgres", async () => {
      const psql = [
        "-h",
        "127.0.0.1",
        "-p",
        String(pair.a.listener("to-postgres")),
        "-U",
        "weft",
        "-d",
        "postgres",
        "-v",
        "ON_ERROR_STOP=1",
        "-qAt",
      ];
      const load = "create table numbers as select n, repeat('x', 100) as text from generate_series(1, 50000) as n";
      assert.equal(await succeed("psql", [...psql, "-c", load, "-c", "select count(*), sum(n) from numbers"]), "50000|1250025000\n");
      assert.equal((await succeed("psql", [...psql, "-c", "select * from numbers order by n"])).split("\n").length, 50_001);
      await assert.rejects(succeed("psql", [...psql, "-c", "select 1/0"]), /division by zero/);
    }));

  it("ws: messages in order, 4 MB, a ping, close codes, 100 connections at once", () =>
    carries("chat", async () => {
      const open = async (): Promise<WebSocket> => {
        const socket = new WebSocket(`ws://127.0.0.1:${pair.port}/chat`, { headers: { Host: "chat" }, maxPayload: 8 * MIB });
        await within("the upgrade", once(socket, "open"));
        return socket;
      };
      const socket = await open();
      const received: string[] = [];
      const all = new Promise<void>((resolve) => {
        socket.on("message", (data) => received.push((data as Buffer).toString()) === 2_000 && resolve());
      });
      for (let i = 0; i < 2_000; i++) socket.send(`message ${i}`);
      await within("all echoes", all);
      assert.deepEqual(
        received,
        Array.from({ length: 2_000 }, (_, i) => `message ${i}`),
      );
      const content = seededBuffer(3, 4 * MIB);
      const echo = once(socket, "message");
      socket.send(content);
      assert.ok(((await within("4 MB", echo)) as [Buffer])[0].equals(content));
      const pong = once(socket, "pong");
      socket.ping("there?");
      assert.equal(String(((await within("the pong", pong)) as [Buffer])[0]), "there?");
      const closed = once(socket, "close");
      socket.send("close, please");
      assert.equal((await within("the close", closed))[0], 4001);
      const many = await Promise.all(Array.from({ length: 100 }, open));
      const echoes = many.map((one) => once(one, "message") as Promise<[Buffer]>);
      for (const [i, one] of many.entries()) one.send(`from ${i}`);
      for (const [i, [data]] of (await within("all echoes", Promise.all(echoes))).entries()) assert.equal(String(data), `from ${i}`);
      const ends = many.map((one) => once(one, "close"));
      for (const one of many) one.close(1000);
      await within("all closes", Promise.all(ends));
    }));
});

async function startChat(): Promise<Server> {
  const http = createServer();
  const server = new WebSocketServer({ server: http, maxPayload: 8 * MIB });
  server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => {
      if (String(data) === "close, please") socket.close(4001, "as asked");
      else socket.send(data as Buffer, { binary: isBinary });
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return http;
}
