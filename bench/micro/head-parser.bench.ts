// Parsing a typical head, forwarding it, and Node's own parser beside it for context. Run with the project's node:
//
//   node_modules/.bin/node bench/micro/head-parser.bench.ts
//
// Only ratios inside one run count. Node's parser makes strings of every field, which the proxy never needs: that is the point.

import { Buffer } from "node:buffer";
import { bench, do_not_optimize, run, summary } from "mitata";
import { ChunkEvent, ChunkScanner } from "../../src/core/h1/chunked.ts";
import { RequestHeadParser, ResponseHeadParser } from "../../src/core/h1/head-parser.ts";
import { requestHeadRoom, writeRequestHead, writeResponseHead } from "../../src/core/h1/serialize.ts";
import { MessageHead } from "../../src/core/http/head.ts";

const LIMITS = { headerBytesMax: 32 * 1024, headerCountMax: 100 };

const AB = Buffer.from(
  "GET /small HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: 127.0.0.1:4140\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n",
);
const SEVEN = Buffer.from(
  "GET /api/v1/items/4711?expand=all HTTP/1.1\r\nHost: shop.example.com:4140\r\nUser-Agent: curl/8.5.0\r\nAccept: application/json\r\n" +
    "Accept-Encoding: gzip, deflate\r\nX-Request-Id: 7f3c2a90-1c1d-4e0a-9f57-2b1f8f0a1c11\r\nCookie: session=abcdef0123456789abcdef\r\nCache-Control: no-cache\r\n\r\n",
);
const RESPONSE = Buffer.from(
  "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 05 Oct 2026 10:00:00 GMT\r\nContent-Type: application/octet-stream\r\nContent-Length: 248\r\n" +
    'Last-Modified: Mon, 05 Oct 2026 09:00:00 GMT\r\nConnection: keep-alive\r\nETag: "68e2-f8"\r\nAccept-Ranges: bytes\r\n\r\n',
);

const requestParser = new RequestHeadParser(LIMITS);
const responseParser = new ResponseHeadParser(LIMITS);
const head = new MessageHead();
const out = Buffer.alloc(64 * 1024);
const TO_UPSTREAM = { hostFallback: null, upgrade: false, forwardedFor: null, via: null };
const TO_CLIENT = { connection: 0, dropTransferEncoding: false, upgrade: false, via: null } as const;

function parseRequest(bytes: Buffer): number {
  requestParser.reset();
  return requestParser.parse(bytes, 0, bytes.length, head);
}

function parseResponse(bytes: Buffer): number {
  responseParser.reset();
  return responseParser.parse(bytes, 0, bytes.length, head);
}

for (const [name, bytes] of [
  ["ab", AB],
  ["seven fields", SEVEN],
] as const) {
  summary(() => {
    bench(`request, ${name} (${bytes.length} bytes): parse`, () => do_not_optimize(parseRequest(bytes)));
    bench(`request, ${name}: parse and write`, () => {
      parseRequest(bytes);
      if (requestHeadRoom(head) > out.length) throw new Error("no room");
      do_not_optimize(writeRequestHead(head, out, 0, TO_UPSTREAM));
    });
  });
}

summary(() => {
  bench(`response, eight fields (${RESPONSE.length} bytes): parse`, () => do_not_optimize(parseResponse(RESPONSE)));
  bench("response, eight fields: parse and write", () => {
    parseResponse(RESPONSE);
    do_not_optimize(writeResponseHead(head, out, 0, TO_CLIENT));
  });
});

// Node's own parser, if this version still hands it out.
interface NodeParser {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  [callback: number]: unknown;
}
const binding = (
  process as unknown as { binding(name: string): { HTTPParser: { new (): NodeParser; REQUEST: number; kOnHeadersComplete: number } } }
).binding("http_parser");
const nodeParser = new binding.HTTPParser();
nodeParser[binding.HTTPParser.kOnHeadersComplete | 0] = () => 0;
nodeParser.initialize(binding.HTTPParser.REQUEST, {});
summary(() => {
  bench("Node's llhttp, seven fields", () => do_not_optimize(nodeParser.execute(SEVEN)));
  bench("Weft, seven fields", () => do_not_optimize(parseRequest(SEVEN)));
});

const CHUNKS = Buffer.from(`${"400\r\n".concat("x".repeat(1024), "\r\n").repeat(32)}0\r\n\r\n`);
const scanner = new ChunkScanner(LIMITS);
function scan(wantsWire: boolean): number {
  scanner.reset(wantsWire);
  let pos = 0;
  for (;;) {
    const event = scanner.next(CHUNKS, pos, CHUNKS.length);
    pos = scanner.pos;
    if (event === ChunkEvent.end || event === ChunkEvent.error || event === ChunkEvent.more) return pos;
  }
}
summary(() => {
  bench("32 chunks of 1 KiB: wire", () => do_not_optimize(scan(true)));
  bench("32 chunks of 1 KiB: payload", () => do_not_optimize(scan(false)));
});

await run();
