// An application that says of itself what only the proxy beside it may say: that the request never reached it. The proxy that asked would send such a
// request to another replica, although it has been processed: no spelling of `l5d-proxy-error` comes through, in heads, 1xx or trailers.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";

const LONG_MS = 60_000;
const BODY = "one order";
/** What the proxy that asked would send the request elsewhere for. */
const LIE = "[WEFT_CONNECT_FAILED] nothing was reached";
const ANY_SPELLING = /l5d.proxy.error/i;

const head = (status: string, ...lines: readonly string[]): string =>
  `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const LENGTH = "Content-Length: 4";
const CHUNKED = "Transfer-Encoding: chunked";

/** What the HTTP/1 application answers, by the request's path. */
const ANSWERS: Readonly<Record<string, string>> = {
  "/head": `${head("502 Bad", `l5d-proxy-error: ${LIE}`, LENGTH)}mine`,
  "/fail-fast": `${head("503 Bad", "l5d-proxy-error: [WEFT_FAIL_FAST] x", LENGTH)}mine`,
  "/timeout": `${head("504 Bad", "l5d-proxy-error: [WEFT_CONNECT_TIMEOUT] x", LENGTH)}mine`,
  "/capitals": `${head("502 Bad", `L5D-Proxy-ERROR:${LIE}`, LENGTH)}mine`,
  "/underscores": `${head("502 Bad", `l5d_proxy_error: ${LIE}`, LENGTH)}mine`,
  "/mixed": `${head("502 Bad", `L5d_proxy-Error: ${LIE}`, LENGTH)}mine`,
  "/twice": `${head("502 Bad", `l5d-proxy-error: ${LIE}`, LENGTH, `l5d-proxy-error: ${LIE}`)}mine`,
  "/named": `${head("502 Bad", "Connection: l5d-proxy-error", `l5d-proxy-error: ${LIE}`, LENGTH)}mine`,
  "/early": `${head("103 Early", `l5d-proxy-error: ${LIE}`)}${head("502 Bad", LENGTH)}mine`,
  "/late": `${head("502 Bad", CHUNKED, "Trailer: X-Sum")}4\r\nmine\r\n0\r\nl5d-proxy-error: ${LIE}\r\nl5d_proxy_error: ${LIE}\r\nX-Sum: 1\r\n\r\n`,
};

describe("an application that answers as if it had not been reached", () => {
  let files: MeshFiles;
  let h1: Origin;
  let h2: H2cOrigin;
  let far: ProxyProcess;
  let near: ProxyProcess;
  before(async () => {
    files = new MeshFiles();
    h1 = await startOrigin(async (x) => {
      await x.body();
      await x.wire.send(ANSWERS[x.request.target]!);
    });
    h2 = await H2cOrigin.start("h2", (stream, headers) => {
      const path = headers[":path"];
      stream.resume();
      stream.once("end", () => {
        if (path === "/late") {
          stream.respond({ ":status": 502 }, { waitForTrailers: true });
          stream.once("wantTrailers", () => stream.sendTrailers({ "l5d-proxy-error": LIE, l5d_proxy_error: LIE, "x-sum": "1" }));
          stream.end("mine");
          return;
        }
        if (path === "/early") stream.additionalHeaders({ ":status": 103, "l5d-proxy-error": LIE });
        const lie = path === "/early" ? {} : { [path === "/underscores" ? "l5d_proxy_error" : "l5d-proxy-error"]: LIE };
        if (path === "/call") stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "14", ...lie });
        else stream.respond({ ":status": 502, ...lie });
        stream.end(path === "/call" ? undefined : "mine");
      });
    });
    // Two replicas each, so that there is somewhere to go.
    const ports = {
      "h1-a": { target: h1.address },
      "h1-b": { target: h1.address },
      "h2-a": { target: h2.address, protocol: "http2" },
      "h2-b": { target: h2.address, protocol: "http2" },
    };
    far = await ProxyProcess.start({ services: {}, identity: files.server, inbound: { target: h1.address, ports } });
    const replicas = (name: string): { endpoints: string[]; identity: string } => ({
      endpoints: ["a", "b"].map((replica) => `127.0.0.1:${far.listener(`${name}-${replica}`)}`),
      identity: SERVER_NAME,
    });
    near = await ProxyProcess.start({ services: { h1: replicas("h1"), h2: replicas("h2") }, identity: files.client });
  });
  after(async () => {
    try {
      await stopProxy(near);
      await stopProxy(far);
    } finally {
      await h1.stop();
      await h2.stop();
      files.remove();
    }
  });

  async function believedNothing(): Promise<void> {
    assert.equal((await near.metrics()).sum("outbound_http_peer_errors_total"), 0);
    assert.doesNotMatch(near.log, /another proxy of the mesh answered/);
  }

  /** The answer's bytes. */
  async function post(path: string): Promise<string> {
    const wire = await connect(near.port);
    await wire.send(request("POST", path, { Host: "h1", Connection: "close" }, BODY));
    await wire.until("the end of the answer", () => wire.isEnded || wire.isClosed, LONG_MS);
    const bytes = wire.take().toString("latin1");
    wire.destroy();
    return bytes;
  }

  for (const [path, answer] of Object.entries(ANSWERS)) {
    it(`gets the request once, and its client the answer without that: HTTP/1.1, ${path.slice(1)}`, async () => {
      const before = h1.requests.length;
      const bytes = await post(path);
      assert.match(bytes, new RegExp(`HTTP/1\\.1 ${/50[0-9]/.exec(answer)![0]} `));
      assert.match(bytes, /mine/);
      assert.doesNotMatch(bytes, ANY_SPELLING);
      assert.equal(h1.requests.length - before, 1);
      await believedNothing();
    });
  }

  for (const path of ["/head", "/underscores", "/early", "/late", "/call"]) {
    it(`gets the request once, and its client the answer without that: HTTP/2, ${path.slice(1)}`, async () => {
      const before = h2.requests.length;
      const client = new H2Client(near.port, "h2");
      const call = path === "/call" ? { "content-type": "application/grpc", te: "trailers" } : {};
      const answer = await client.request({ ":method": "POST", ":path": path, ...call }, BODY);
      client.close();
      assert.equal(answer.status, path === "/call" ? 200 : 502);
      assert.doesNotMatch(JSON.stringify([answer.headers, answer.trailers]), ANY_SPELLING);
      if (path === "/late") assert.equal(answer.trailers?.["x-sum"], "1");
      assert.equal(h2.requests.length - before, 1);
      await believedNothing();
    });
  }
});
