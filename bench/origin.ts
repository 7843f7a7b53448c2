// The benchmark's own origin: `node bench/origin.ts PORT [DELAY_MS]`, a process of its own on uWebSockets.js.
//
// It answers fast and does little, so that the proxy in front of it is what is measured. nginx is cheaper still and the
// default for downloads; this one also takes uploads, hashes them, and can be slow. It speaks HTTP/1.1 only (HTTP/1.0 gets 505).
//
//   GET  /          248 bytes, as nginx's origin here serves
//   GET  /64k /1m   65536 and 1048576 bytes
//   GET  /slow?ms=N the 248 bytes after N milliseconds (at most 10 s)
//   GET  /busy?us=N the 248 bytes after N microseconds of work (at most 100 ms): an origin that is the bottleneck
//   POST /upload    reads the body, answers its size
//   POST /hash      reads the body, answers its SHA-256
//   GET  /echo      WebSocket: sends every message back
//   GET  /accepted  how many connections it has accepted
//
// With DELAY_MS the small answer waits as long: one slow endpoint beside others.

import { createHash, type Hash } from "node:crypto";
import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { SMALL_BODY_BYTES } from "./peers/peer.ts";

const SLOW_MS_MAX = 10_000;
const BUSY_US_MAX = 100_000;

const port = Number(process.argv[2]);
if (!Number.isInteger(port)) {
  process.stderr.write("usage: node bench/origin.ts PORT [DELAY_MS]\n");
  process.exit(1);
}
const delayMs = Number(process.argv[3] ?? 0);
let accepted = 0;

const { App, us_socket_local_port } = await import("uWebSockets.js");

const small = Buffer.alloc(SMALL_BODY_BYTES, "x");
const medium = Buffer.alloc(64 * 1024, "m");
const large = Buffer.alloc(1024 * 1024, "l");

function serve(body: Buffer): (response: HttpResponse) => void {
  return (response) => response.end(body);
}

/** Reads a body; `each` sees the bytes only during the call. */
function receive(response: HttpResponse, each: (bytes: Uint8Array) => void, done: () => string): void {
  let isGone = false;
  response.onAborted(() => {
    isGone = true;
  });
  response.onData((chunk, isLast) => {
    each(new Uint8Array(chunk));
    if (isLast && !isGone) response.end(done());
  });
}

/** Works, on the one thread that there is, before it answers. */
function busy(response: HttpResponse, request: HttpRequest): void {
  const us = Math.min(Number(request.getQuery("us") ?? 0) || 0, BUSY_US_MAX);
  const end = performance.now() + us / 1000;
  while (performance.now() < end);
  response.end(small);
}

function upload(response: HttpResponse): void {
  let size = 0;
  receive(
    response,
    (bytes) => {
      size += bytes.length;
    },
    () => String(size),
  );
}

function hash(response: HttpResponse): void {
  const sum: Hash = createHash("sha256");
  receive(
    response,
    (bytes) => sum.update(bytes),
    () => sum.digest("hex"),
  );
}

function answerAfter(response: HttpResponse, ms: number): void {
  let isGone = false;
  response.onAborted(() => {
    isGone = true;
  });
  setTimeout(() => {
    if (!isGone) response.cork(() => response.end(small));
  }, ms);
}

function slow(response: HttpResponse, request: HttpRequest): void {
  answerAfter(response, Math.min(Number(request.getQuery("ms") ?? 0) || 0, SLOW_MS_MAX));
}

/** Called with 1 when a connection comes and with -1 when it goes. */
const onConnection = (_response: HttpResponse, change: number | number): void => {
  if (Number(change) > 0) accepted += 1;
};

App()
  .filter(onConnection)
  .get("/", delayMs > 0 ? (response) => answerAfter(response, delayMs) : serve(small))
  .get("/accepted", (response) => {
    response.end(String(accepted));
  })
  .ws("/echo", {
    idleTimeout: 0,
    message: (socket, message, isBinary) => {
      socket.send(message, isBinary);
    },
  })
  .get("/64k", serve(medium))
  .get("/1m", serve(large))
  .get("/slow", slow)
  .get("/busy", busy)
  .post("/upload", upload)
  .post("/hash", hash)
  .any("/*", (response) => {
    response.writeStatus("404 Not Found").end();
  })
  .listen("127.0.0.1", port, (socket) => {
    if (socket === false) {
      process.stderr.write(`EADDRINUSE: port ${port}\n`);
      process.exit(1);
    }
    process.stdout.write(`listening on ${us_socket_local_port(socket)}\n`);
  });
