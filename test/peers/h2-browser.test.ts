// A browser through Weft: Chromium over TLS, which chooses HTTP/2 by ALPN; a page with fifty resources, uploads, and WebSockets.
//
// The page does its work by itself and posts what it saw to its origin. Every name but loopback's is unknown to the browser.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { Child, temporaryFolder } from "../../bench/support/child.ts";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { within } from "../support/wait.ts";
import { missing } from "./support/tools.ts";

const RESOURCES = 50;
const UPLOAD_BYTES = 8 * 1024 * 1024;
/** A browser takes seconds to start on a busy machine. */
const BROWSER_DEADLINE_MS = 60_000;

interface Report {
  readonly error: string | null;
  /** Of the page and of each resource: how it came, by nextHopProtocol. */
  readonly protocols: readonly string[];
  readonly loaded: number;
  readonly sent: string;
  readonly uploaded: string;
  readonly streamed: string;
  readonly echoes: readonly string[];
  readonly closeCodes: readonly number[];
}

/** Runs in the page. */
const SCRIPT = `
const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
async function sockets() {
  const opened = Array.from({ length: 3 }, () => new WebSocket("wss://" + location.host + "/socket"));
  const echoes = await Promise.all(opened.map((socket, i) => new Promise((resolve, reject) => {
    socket.onopen = () => socket.send("from " + i);
    socket.onmessage = ({ data }) => resolve(data);
    socket.onerror = () => reject(new Error("WebSocket " + i + " failed"));
  })));
  const closed = Promise.all(opened.map((socket) => new Promise((resolve) => { socket.onclose = ({ code }) => resolve(code); })));
  opened[0].send("close, please");
  opened[1].close(4003);
  opened[2].close(4004);
  return { echoes, closeCodes: await closed };
}
async function run() {
  const report = { error: null, protocols: [], loaded: 0, sent: "", uploaded: "", streamed: "", echoes: [], closeCodes: [] };
  try {
    const images = Array.from(document.images);
    await Promise.all(images.map((image) => image.decode()));
    report.loaded = images.filter((image) => image.naturalWidth === 1).length;
    const body = new Uint8Array(${UPLOAD_BYTES});
    for (let i = 0; i < body.length; i++) body[i] = (i * 31 + (i >> 8)) & 255;
    report.sent = hex(await crypto.subtle.digest("SHA-256", body));
    report.uploaded = await (await fetch("/upload", { method: "POST", body })).text();
    // A stream as a body: the browser does that over HTTP/2 alone.
    let at = 0;
    const stream = new ReadableStream({ pull(controller) {
      if (at === body.length) return controller.close();
      controller.enqueue(body.slice(at, at += 65536));
    } });
    report.streamed = await (await fetch("/upload", { method: "POST", body: stream, duplex: "half" })).text();
    if (location.search === "?sockets") Object.assign(report, await sockets());
    const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    report.protocols = entries.map(({ nextHopProtocol }) => nextHopProtocol);
  } catch (error) {
    report.error = String(error && error.stack || error);
  }
  await fetch("/report", { method: "POST", body: JSON.stringify(report) });
}
addEventListener("load", run);
`;

const PAGE = `<!doctype html><title>weft</title><script src="/script.js"></script>
${Array.from({ length: RESOURCES }, (_, i) => `<img src="/image/${i}.gif">`).join("")}`;

/** One transparent pixel. */
const GIF = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");

function contentOf(path: string, body: Buffer): [type: string, content: string | Buffer] {
  if (path === "/script.js") return ["text/javascript", SCRIPT];
  if (path.startsWith("/image/")) return ["image/gif", GIF];
  if (path === "/upload") return ["text/plain", createHash("sha256").update(body).digest("hex")];
  return ["text/html", PAGE];
}

/** The page's origin, in HTTP/1 or HTTP/2; resolves `reported` with what the page posts. */
class PageOrigin {
  readonly reported: Promise<Report>;
  /** Names of the fields of each WebSocket handshake, as they came. */
  readonly handshakes: string[][] = [];
  readonly server: Server | Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  #report!: (report: Report) => void;

  constructor(protocol: "http1" | "http2") {
    this.reported = new Promise((resolve) => {
      this.#report = resolve;
    });
    if (protocol === "http1") {
      const server = createServer((request, response) => void this.#answer(request, response));
      this.#takeSockets(server);
      this.server = server;
      return;
    }
    const server = createHttp2Server((request, response) => {
      void this.#answer(request as unknown as IncomingMessage, response as unknown as ServerResponse);
    });
    server.on("session", (session) => this.#sessions.add(session));
    this.server = server;
  }

  #takeSockets(server: Server): void {
    new WebSocketServer({ server, path: "/socket" }).on("connection", (socket, request) => {
      this.handshakes.push(request.rawHeaders.filter((_, i) => i % 2 === 0));
      socket.on("message", (data) => {
        if (String(data) === "close, please") socket.close(4002, "as asked");
        else socket.send(String(data));
      });
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (path === "/report") this.#report(JSON.parse(body.toString()) as Report);
    const [type, content] = contentOf(path, body);
    response.setHeader("content-type", type);
    response.end(content);
  }

  async start(): Promise<string> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    for (const session of this.#sessions) session.destroy();
    this.server.close();
  }
}

function startBrowser(url: string): Child {
  const folder = temporaryFolder();
  const child = new Child("chromium", "chromium", [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--ignore-certificate-errors",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    `--user-data-dir=${join(folder, "profile")}`,
    url,
  ]);
  child.process.once("error", () => undefined);
  return child;
}

for (const protocol of ["http1", "http2"] as const) {
  describe(`Chromium, origin ${protocol}`, () => {
    const files = new CertificateFiles(new Authority().issue());
    let origin: PageOrigin;
    let proxy: ProxyProcess;
    let report: Report;
    before(async () => {
      origin = new PageOrigin(protocol);
      const address = await origin.start();
      proxy = await ProxyProcess.start({
        services: { web: { endpoints: [address], protocol } },
        listeners: { secure: { service: "web", protocol: "detect", tls: files.paths } },
      });
      const query = protocol === "http1" ? "?sockets" : "";
      const browser = startBrowser(`https://127.0.0.1:${proxy.listener("secure")}/${query}`);
      try {
        if (browser.pid === 0) throw missing("chromium");
        report = await within("the page's report", origin.reported, BROWSER_DEADLINE_MS).catch((error: Error) => {
          throw new Error(`${error.message}\n${browser.log}`);
        });
      } finally {
        await browser.stop();
      }
    });
    after(async () => {
      try {
        await stopProxy(proxy);
      } finally {
        origin.stop();
        files.remove();
      }
    });

    it(`loads a page and its ${RESOURCES} resources, all over HTTP/2`, () => {
      assert.equal(report.error, null);
      assert.equal(report.loaded, RESOURCES);
      assert.deepEqual([...new Set(report.protocols)], ["h2"]);
      assert.ok(report.protocols.length > RESOURCES, `${report.protocols.length} entries`);
    });

    it(`uploads ${UPLOAD_BYTES} bytes at once and as a stream, every one right`, () => {
      assert.equal(report.sent.length, 64);
      assert.deepEqual([report.uploaded, report.streamed], [report.sent, report.sent]);
    });

    if (protocol === "http1") {
      it("opens WebSockets, and closes them with the code of either side", () => {
        assert.deepEqual(report.echoes, ["from 0", "from 1", "from 2"]);
        assert.deepEqual(report.closeCodes, [4002, 4003, 4004]);
      });

      it("opens them over HTTP/2 (RFC 8441): their fields have the small letters of HTTP/2", () => {
        assert.equal(origin.handshakes.length, 3);
        for (const names of origin.handshakes) assert.ok(names.includes("sec-websocket-version"), names.join(", "));
      });
    }

    it("leaves no error behind", async () => {
      assert.equal((await proxy.metrics()).sum("outbound_http_errors_total"), 0);
    });
  });
}
