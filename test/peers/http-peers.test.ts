// nginx and HAProxy behind Weft and in front of it: what a client sees differs from the direct answer by hop-by-hop fields at most.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { parseAb } from "../../bench/load/tools.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import { startProxy } from "../../bench/peers/start.ts";
import { once } from "../support/client.ts";
import { header, type Message } from "../support/http-lite.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { seededStream, BigOrigin, type Received } from "./support/big-origin.ts";
import { startRichOrigin } from "./support/rich-origin.ts";
import type { Service } from "./support/services.ts";
import { succeed } from "./support/tools.ts";

/** Fields of one connection (RFC 9110 7.6.1), and the clock. Transfer-Encoding stays: Weft forwards the coding that it got. */
const NOT_COMPARED = new Set(["connection", "keep-alive", "proxy-connection", "date"]);

const MIB = 1024 * 1024;

interface Case {
  readonly name: string;
  readonly request: string;
  readonly method?: string;
}

function get(target: string, fields = "", method = "GET"): Case {
  return {
    name: `${method} ${target}${fields && ` with ${fields}`}`,
    method,
    request: `${method} ${target} HTTP/1.1\r\nHost: web\r\n${fields && `${fields}\r\n`}\r\n`,
  };
}

function post(target: string, body: string): Case {
  return {
    name: `POST ${target}, ${body.length} bytes`,
    request: `POST ${target} HTTP/1.1\r\nHost: web\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  };
}

const CASES: readonly Case[] = [
  get("/"),
  get("/", "", "HEAD"),
  get("/", "", "OPTIONS"),
  get("/1m"),
  get("/1m", "", "HEAD"),
  get("/empty"),
  get("/1m", "Range: bytes=1000-1999"),
  get("/1m", "Range: bytes=0-9,100-109"),
  get("/1m", "Range: bytes=9999999-"),
  get("/text.txt", "Accept-Encoding: gzip"),
  get("/text.txt", "Accept-Encoding: gzip", "HEAD"),
  get("/text.txt"),
  get("/", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"),
  get("/", "If-Unmodified-Since: Fri, 01 Jan 1999 00:00:00 GMT"),
  get("/no-content"),
  get("/teapot"),
  get("/moved"),
  get("/folder"),
  get("/fields"),
  get("/private"),
  get("/missing"),
  get("/missing", "", "HEAD"),
  get("/a%20b?q=%C3%A4&empty="),
  post("/", "form=1"),
  post("/limited", "more than ten bytes"),
  { name: "HTTP/1.0 without keep-alive", request: "GET / HTTP/1.0\r\nHost: web\r\n\r\n" },
  { name: "HTTP/1.0 with keep-alive", request: "GET / HTTP/1.0\r\nHost: web\r\nConnection: keep-alive\r\n\r\n" },
  { name: "Connection: close", request: "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n" },
];

/** What has to be equal. A multipart boundary is a counter of nginx's: it is left out, in the field and in the body. */
function comparable(message: Message): unknown {
  const boundary = /boundary=(\S+)/.exec(header(message, "content-type") ?? "")?.[1] ?? null;
  const plain = (text: string): string => (boundary === null ? text : text.replaceAll(boundary, "BOUNDARY"));
  return {
    start: message.startLine,
    fields: message.headers.filter(([name]) => !NOT_COMPARED.has(name.toLowerCase())).map(([name, value]) => [name, plain(value)]),
    body: createHash("sha256")
      .update(plain(message.body.toString("latin1")))
      .digest("hex"),
    size: message.body.length,
  };
}

async function ask(port: number, one: Case): Promise<unknown> {
  return comparable(await once(port, one.request, { isHead: one.method === "HEAD" }));
}

let origin: Service;
let big: BigOrigin;

before(async () => {
  origin = await startRichOrigin();
  big = await BigOrigin.start();
});

after(async () => {
  await origin?.stop();
  await big?.stop();
});

function stopBoth(proxy: ProxyProcess | undefined, ...peers: (Peer | undefined)[]): Promise<void> {
  return Promise.all(peers.map((peer) => peer?.child.stop())).then(() => proxy?.stop());
}

for (const upstream of ["nginx", "haproxy"]) {
  describe(`${upstream} as the upstream`, () => {
    let middle: Peer | undefined;
    let proxy: ProxyProcess;
    let port: number;
    before(async () => {
      // nginx is the origin itself; HAProxy stands before it.
      if (upstream === "haproxy") middle = await startProxy("haproxy", origin.port, 0);
      port = middle?.port ?? origin.port;
      proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${port}`] } } });
    });
    after(() => stopBoth(proxy, middle));

    for (const one of CASES) {
      it(`${one.name}: as direct`, async () => {
        assert.deepEqual(await ask(proxy.port, one), await ask(port, one));
      });
    }

    it("ab -k through both: no failure", async () => {
      const { requests, errors, output } = parseAb(
        await succeed("ab", ["-q", "-k", "-n", "10000", "-c", "50", `http://127.0.0.1:${proxy.port}/`]),
      );
      assert.deepEqual({ requests, errors }, { requests: 10_000, errors: 0 }, output);
    });
  });
}

for (const front of ["nginx", "haproxy"]) {
  describe(`${front} in front`, () => {
    let proxy: ProxyProcess;
    let uploads: ProxyProcess;
    let peers: Record<"through" | "straight" | "upload", Peer>;
    before(async () => {
      proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${origin.port}`] } } });
      uploads = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${big.port}`] } } });
      peers = {
        through: await startProxy(front, proxy.port, 0),
        straight: await startProxy(front, origin.port, 0),
        upload: await startProxy(front, uploads.port, 0),
      };
    });
    after(async () => {
      await stopBoth(proxy, ...Object.values(peers ?? {}));
      await uploads?.stop();
    });

    for (const one of CASES) {
      it(`${one.name}: as without Weft`, async () => {
        assert.deepEqual(await ask(peers.through.port, one), await ask(peers.straight.port, one));
      });
    }

    for (const flags of [["-k"], []]) {
      it(`ab ${flags.join("")}: no failure`, async () => {
        const url = `http://127.0.0.1:${peers.through.port}/`;
        const { requests, errors, output } = parseAb(await succeed("ab", ["-q", ...flags, "-n", "10000", "-c", "50", url]));
        assert.deepEqual({ requests, errors }, { requests: 10_000, errors: 0 }, output);
      });
    }

    it("a chunked upload of 64 MB arrives whole", async () => {
      const args = ["-sS", "--fail", "-T", "-", `http://127.0.0.1:${peers.upload.port}/upload`];
      const received = JSON.parse(await succeed("curl", args, { input: seededStream(9, 64 * MIB) })) as Received;
      const hash = createHash("sha256");
      for await (const chunk of seededStream(9, 64 * MIB) as AsyncIterable<Buffer>) hash.update(chunk);
      assert.deepEqual([received.size, received.sha256], [64 * MIB, hash.digest("hex")]);
    });
  });
}
