// A request and its response through the HTTP/2 engine as a proxy uses it: a server engine and a client engine, HPACK included, no socket.
//
//   node_modules/.bin/node bench/micro/h2-frames.bench.ts [--profile]
//
// A whole conversation (client, proxy, origin, all engines) is recorded once; then only the proxy's two engines are fed with the bytes that
// came from either side, in reads of 16 requests, as on a busy connection. One call of a case is such a batch; the table at the end says
// microseconds per request+response. Only ratios inside one run count.

import { Buffer } from "node:buffer";
import type { Lease, RequestEdits, Trailers } from "../../src/core/http/exchange.ts";
import type { MessageHead } from "../../src/core/http/head.ts";
import { H2Connection } from "../../src/core/h2/connection.ts";
import type { H2Chunk, H2ConnectionOwner, H2Output, H2Stream, H2StreamOwner } from "../../src/core/h2/contract.ts";
import { DEFAULT_H2_LIMITS } from "../../src/core/h2/limits.ts";
import { H2Scratch } from "../../src/core/h2/scratch.ts";
import { h1Request } from "../../test/support/h1-heads.ts";

/** Requests per read, and reads per recording. */
const BATCH = 16;
const BATCHES = 1000;
/** Recordings per figure: the median of them is shown. */
const ROUNDS = 15;

/** One chunk that is used again and again. */
class OneChunk implements H2Output {
  flushCount = 0;
  readonly chunk = { bytes: Buffer.alloc(512 * 1024), length: 0 };

  reserve(): H2Chunk {
    return this.chunk;
  }

  write(buffer: Buffer, start: number, end: number): void {
    const { chunk } = this;
    buffer.copy(chunk.bytes, chunk.length, start, end);
    chunk.length += end - start;
  }

  /** What was written since the last call: the bytes themselves, which the next write overwrites. */
  flush(): Buffer {
    const { chunk } = this;
    const bytes = chunk.bytes.subarray(0, chunk.length);
    chunk.length = 0;
    this.flushCount++;
    return bytes;
  }
}

const scratch = new H2Scratch(DEFAULT_H2_LIMITS);
const EDITS: RequestEdits = { hostFallback: Buffer.from("web"), forwardedFor: null, via: null, clientId: null };

class End implements H2ConnectionOwner {
  readonly output = new OneChunk();
  readonly connection: H2Connection;
  readonly accept: (stream: H2Stream) => H2StreamOwner;

  constructor(isServer: boolean, accept: (stream: H2Stream) => H2StreamOwner) {
    this.accept = accept;
    const limits = DEFAULT_H2_LIMITS;
    const shared = { owner: this, output: this.output, limits, scratch, isHttps: false, isMesh: false, takesExtendedConnect: false };
    this.connection = new H2Connection({ isServer, ...shared });
    this.connection.begin();
  }

  acceptStream(stream: H2Stream): H2StreamOwner {
    return this.accept(stream);
  }

  onPeerSettings(): void {}
  onGoaway(): void {}
  onConnectionError(_code: number, why: string): void {
    throw new Error(why);
  }
  onStreamClosed(): void {}
  onPong(): void {}
}

/** One exchange of the proxy: what comes on one side goes out on the other. Used again, as the worker's are. */
class Exchange {
  down!: H2Stream;
  up!: H2Stream;
  readonly request: H2StreamOwner = {
    onHead: (head: MessageHead, isEnd: boolean) => {
      this.up.sendRequestHead(head, EDITS, isEnd, false);
    },
    onHeadRefused() {},
    onData: (buffer: Buffer, start: number, end: number, lease: Lease | null) => {
      this.up.sendData(buffer, start, end, lease);
      this.down.drained(end - start);
    },
    onEnd: (trailers: Trailers | null) => this.up.sendEnd(trailers),
    onReset() {},
    onWritable() {},
  };
  readonly response: H2StreamOwner = {
    onHead: (head: MessageHead, isEnd: boolean) => {
      this.down.sendResponseHead(head, null, isEnd, false);
      if (isEnd) this.#done();
    },
    onHeadRefused() {},
    onData: (buffer: Buffer, start: number, end: number, lease: Lease | null) => {
      this.down.sendData(buffer, start, end, lease);
      this.up.drained(end - start);
    },
    onEnd: (trailers: Trailers | null) => {
      this.down.sendEnd(trailers);
      this.#done();
    },
    onReset() {},
    onWritable() {},
  };

  #done(): void {
    done++;
    this.up.release();
    this.down.release();
    free.push(this);
  }
}

let done = 0;
const free: Exchange[] = [];

class ProxyPair {
  readonly up = new End(false, () => NONE);
  readonly down: End = new End(true, (stream) => {
    const exchange = free.pop() ?? new Exchange();
    exchange.down = stream;
    exchange.up = this.up.connection.openStream(exchange.response)!;
    return exchange.request;
  });
}

const NONE: H2StreamOwner = { onHead() {}, onHeadRefused() {}, onData() {}, onEnd() {}, onReset() {}, onWritable() {} };

interface Kind {
  readonly name: string;
  readonly head: MessageHead;
  readonly body: Buffer | null;
  readonly trailers: Trailers | null;
  readonly answerFields: Trailers;
  readonly answer: Buffer;
  readonly answerTrailers: Trailers | null;
}

function lines(text: string): Trailers {
  const buffer = Buffer.from(text);
  return { buffer, start: 0, end: buffer.length };
}

const KINDS: readonly Kind[] = [
  {
    name: "h2load's GET, 6 fields back, 100 bytes",
    head: h1Request("GET /small HTTP/1.1\r\nHost: 127.0.0.1:4140\r\nUser-Agent: h2load nghttp2/1.52.0\r\n\r\n"),
    body: null,
    trailers: null,
    answerFields: lines(
      "server: nginx/1.22.1\r\ndate: Mon, 05 Oct 2026 10:00:00 GMT\r\ncontent-type: text/plain\r\ncontent-length: 100\r\naccept-ranges: bytes\r\ncache-control: max-age=60\r\n",
    ),
    answer: Buffer.alloc(100, "x"),
    answerTrailers: null,
  },
  {
    name: "gRPC unary, 30 bytes each way, trailers",
    head: h1Request(
      "POST /shop.v1.OrderService/GetOrder HTTP/1.1\r\nHost: orders.internal:4143\r\nContent-Type: application/grpc\r\nTE: trailers\r\nUser-Agent: grpc-node-js/1.12.0\r\nGrpc-Accept-Encoding: identity,deflate,gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    body: Buffer.alloc(30, "m"),
    trailers: null,
    answerFields: lines("content-type: application/grpc\r\ngrpc-accept-encoding: identity,deflate,gzip\r\n"),
    answer: Buffer.alloc(30, "n"),
    answerTrailers: lines("grpc-status: 0\r\ngrpc-message: OK\r\n"),
  },
];

/** The origin's side of one stream: answers at once. */
function originOf(kind: Kind): (stream: H2Stream) => H2StreamOwner {
  return (stream) => {
    const answer = (): void => {
      stream.sendOwnHead(200, kind.answerFields, false);
      stream.sendData(kind.answer, 0, kind.answer.length, null);
      stream.sendEnd(kind.answerTrailers);
      stream.release();
    };
    return {
      ...NONE,
      onHead: (_head, isEnd) => isEnd && answer(),
      onData: (_buffer, start, end) => stream.drained(end - start),
      onEnd: answer,
    };
  };
}

interface Recording {
  /** Bytes from the client, and from the origin, batch by batch. */
  readonly requests: readonly Buffer[];
  readonly responses: readonly Buffer[];
}

function receive(end: End, bytes: Buffer): void {
  end.connection.receive(bytes, 0, bytes.length, null, 1000);
}

function record(kind: Kind): Recording {
  const proxy = new ProxyPair();
  const client = new End(false, () => NONE);
  const origin = new End(true, originOf(kind));
  const requests: Buffer[] = [];
  const responses: Buffer[] = [];
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) {
      let stream: H2Stream | null = null;
      const owner: H2StreamOwner = {
        ...NONE,
        onHead: (_head, isEnd) => isEnd && stream!.release(),
        onData: (_buffer, start, end) => stream!.drained(end - start),
        onEnd: () => stream!.release(),
      };
      stream = client.connection.openStream(owner)!;
      stream.sendRequestHead(kind.head, EDITS, kind.body === null, false);
      if (kind.body === null) continue;
      stream.sendData(kind.body, 0, kind.body.length, null);
      stream.sendEnd(kind.trailers);
    }
    const asked = Buffer.from(client.output.flush());
    requests.push(asked);
    receive(proxy.down, asked);
    receive(origin, Buffer.from(proxy.up.output.flush()));
    const answered = Buffer.from(origin.output.flush());
    responses.push(answered);
    receive(proxy.up, answered);
    receive(client, Buffer.from(proxy.down.output.flush()));
  };
  // The first two only exchange SETTINGS.
  send(0);
  send(0);
  for (let i = 0; i < BATCHES; i++) send(BATCH);
  return { requests, responses };
}

/** Replays a recording; returns CPU microseconds per request. */
function replay({ requests, responses }: Recording): number {
  const proxy = new ProxyPair();
  const before = done;
  const started = process.cpuUsage();
  for (let i = 0; i < requests.length; i++) {
    receive(proxy.down, requests[i]!);
    proxy.up.output.flush();
    receive(proxy.up, responses[i]!);
    proxy.down.output.flush();
  }
  const { user, system } = process.cpuUsage(started);
  if (done - before !== BATCH * BATCHES) throw new Error(`${done - before} of ${BATCH * BATCHES} requests were answered`);
  return (user + system) / (BATCH * BATCHES);
}

const isMoment = process.argv.includes("--moment");
for (const kind of KINDS) {
  const recording = record(kind);
  const times: number[] = [];
  for (let round = 0; round < (isMoment ? 1 : ROUNDS); round++) times.push(replay(recording));
  const size = (recording.requests.at(-1)!.length + recording.responses.at(-1)!.length) / BATCH;
  if (isMoment) {
    process.stdout.write(`ok  ${kind.name}\n`);
    continue;
  }
  const steady = times.slice(3).sort((a, b) => a - b);
  process.stdout.write(
    `${kind.name}: ${steady[steady.length >> 1]!.toFixed(2)} us per request+response (best ${steady[0]!.toFixed(2)}), ${size.toFixed(0)} bytes read\n`,
  );
}
