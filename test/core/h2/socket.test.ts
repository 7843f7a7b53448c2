// The engine over real sockets: the 146 cases of the public conformance suite, and Node's own HTTP/2 as client and as server.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, constants, createServer, type ClientHttp2Session, type Http2Server, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Lease, Trailers } from "../../../src/core/http/exchange.ts";
import { type MessageHead, Method } from "../../../src/core/http/head.ts";
import type { H2Stream, H2StreamOwner } from "../../../src/core/h2/contract.ts";
import { testConformance } from "../../h2/conformance/suite.ts";
import { NO_EDITS, RecordingStream, trailersOf } from "../../support/h2-engine.ts";
import { connectEngine, type EngineServer, type EngineSocket, serveEngine } from "../../support/h2-engine-socket.ts";
import { h1Request } from "../../support/h1-heads.ts";

/** Answers with the body that came, or with 64 bytes; POST gets trailers. */
class Echo implements H2StreamOwner {
  readonly #stream: H2Stream;
  readonly #pieces: Buffer[] = [];
  #isPost = false;

  constructor(stream: H2Stream) {
    this.#stream = stream;
  }

  onHead(head: MessageHead, isEnd: boolean): void {
    this.#isPost = head.method === Method.post;
    if (isEnd) this.#answer(head.method === Method.head);
  }

  onHeadRefused(errorId: number): void {
    this.#stream.sendOwnHead(errorId === 30 || errorId === 31 ? 431 : 400, trailersOf("x-refused: yes\r\n"), true);
    this.#stream.release();
  }

  onData(buffer: Buffer, start: number, end: number, _lease: Lease | null): void {
    this.#pieces.push(Buffer.from(buffer.subarray(start, end)));
    this.#stream.drained(end - start);
  }

  onEnd(_trailers: Trailers | null): void {
    this.#answer(false);
  }

  #answer(isHead: boolean): void {
    const stream = this.#stream;
    stream.sendOwnHead(200, trailersOf("x-echo: yes\r\n"), isHead);
    if (!isHead) {
      const body = this.#pieces.length === 0 ? Buffer.alloc(64, "x") : Buffer.concat(this.#pieces);
      stream.sendData(body, 0, body.length, null);
      stream.sendEnd(this.#isPost ? trailersOf("x-sum: 1\r\n") : null);
    }
    stream.release();
  }

  onReset(): void {
    this.#stream.release();
  }

  onWritable(): void {}
}

let engine: EngineServer;
before(async () => {
  engine = await serveEngine((stream) => new Echo(stream));
});
after(() => engine.close());

testConformance("the engine", () => ({ port: engine.port }));

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
}

function ask(session: ClientHttp2Session, headers: Record<string, string>, body: Buffer | null): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = session.request(headers, { endStream: body === null });
    const pieces: Buffer[] = [];
    let got: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    request.on("response", (fields) => (got = fields));
    request.on("trailers", (fields) => (trailers = fields));
    request.on("data", (bytes: Buffer) => pieces.push(bytes));
    request.on("end", () => resolve({ headers: got, body: Buffer.concat(pieces), trailers }));
    request.on("error", reject);
    if (body !== null) request.end(body);
  });
}

describe("node:http2 as the client", () => {
  let session: ClientHttp2Session;
  before(() => {
    session = connect(`http://127.0.0.1:${engine.port}`);
  });
  after(() => session.close());

  it("gets 200 answers of 100 streams at a time", async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(session, { ":path": `/${i}`, "x-number": `${i}` }, null)));
    for (const { headers, body } of answers) {
      assert.equal(headers[":status"], 200);
      assert.equal(body.length, 64);
    }
  });

  it("gets its uploads back, larger than every window", async () => {
    const bodies = [1, 65_536, 1_000_000, 3_000_000].map((size) => Buffer.alloc(size, `${size} `));
    const answers = await Promise.all(bodies.map((body) => ask(session, { ":method": "POST", ":path": "/" }, body)));
    for (const [i, answer] of answers.entries()) {
      assert.ok(answer.body.equals(bodies[i]!), `body ${i}`);
      assert.equal(answer.trailers["x-sum"], "1");
    }
  });

  it("gets no body of a HEAD", async () => {
    const answer = await ask(session, { ":method": "HEAD", ":path": "/" }, null);
    assert.deepEqual([answer.headers["x-echo"], answer.body.length], ["yes", 0]);
  });

  it("gets 431 for a head that is too large, and goes on", async () => {
    const large = await ask(session, { ":path": "/", "x-large": "v".repeat(40_000) }, null);
    assert.equal(large.headers[":status"], 431);
    assert.equal((await ask(session, { ":path": "/" }, null)).headers[":status"], 200);
  });

  it("leaves no slot taken", async () => {
    const [{ connection }] = engine.connections.slice(-1) as [EngineSocket];
    await ask(session, { ":path": "/" }, null);
    assert.equal(connection.openStreams, 0);
  });
});

describe("node:http2 as the server", () => {
  let server: Http2Server;
  let client: EngineSocket;

  before(async () => {
    server = createServer();
    server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      if (headers[":path"] === "/refuse") {
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
        return;
      }
      stream.additionalHeaders({ ":status": 103, link: "</a>" });
      stream.respond({ ":status": 200, "x-method": String(headers[":method"]) }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": "t" }));
      stream.pipe(stream);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    client = await connectEngine((server.address() as AddressInfo).port);
  });
  after(() => {
    client.socket.destroy();
    server.close();
  });

  /** Sends a request and waits for its end. */
  function fetch(path: string, body: Buffer): Promise<RecordingStream> {
    return new Promise((resolve, reject) => {
      let owner: RecordingStream | null = null;
      const late = new Proxy({} as H2StreamOwner, {
        get: (_, name) => Reflect.get(owner!, name).bind(owner) as unknown,
      });
      const stream = client.connection.openStream(late);
      if (stream === null) {
        reject(new Error("no stream"));
        return;
      }
      owner = new RecordingStream(stream, []);
      owner.onEvent = (event) => {
        if (!event.startsWith("end") && !event.startsWith("reset")) return;
        stream.release();
        resolve(owner!);
      };
      stream.sendRequestHead(h1Request(`POST ${path} HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n`), NO_EDITS, false, false);
      stream.sendData(body, 0, body.length, null);
      stream.sendEnd(trailersOf("x-end: 1\r\n"));
      client.flush();
    });
  }

  it("answers with interim heads, a body larger than every window, and trailers", async () => {
    const body = Buffer.alloc(2_000_000, "0123456789");
    const { events, body: echoed } = await fetch("/echo", body);
    assert.match(events[0]!, /head "HTTP\/1.1 103 .*link: <\/a>/);
    assert.match(events[1]!, /head "HTTP\/1.1 200 OK\\r\\nx-method: POST/);
    assert.match(events.at(-1)!, /end "x-trailer: t\\r\\n"/);
    assert.ok(echoed.equals(body));
  });

  it("refuses a stream, which was surely not processed", async () => {
    const { events } = await fetch("/refuse", Buffer.from("x"));
    assert.deepEqual(events, ["reset REFUSED_STREAM remote unprocessed"]);
  });

  it("answers many at once", async () => {
    const all = await Promise.all(Array.from({ length: 90 }, (_, i) => fetch(`/${i}`, Buffer.alloc(i * 1000, "z"))));
    for (const [i, { body }] of all.entries()) assert.equal(body.length, i * 1000);
    assert.equal(client.connection.openStreams, 0);
  });
});
