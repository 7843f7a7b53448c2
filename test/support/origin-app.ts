// The service that most scenarios talk to. What it answers is in the target:
//
//   /name                      its name                       /echo        the request's head as text
//   /hash                      size and SHA-256 of the body   /status/404  that status, body "status 404"
//   /bytes/SIZE/SEED           seeded content with a length   /chunked/SIZE/SEED   the same, chunked, with a trailer
//   /close/SIZE/SEED           the same, until close          anything else        "hello"

import { createHash } from "node:crypto";
import { header } from "./http-lite.ts";
import { type Origin, type OriginExchange, type OriginOptions, startOrigin } from "./origin.ts";
import { SeededContent } from "./seeded-content.ts";

const CHUNK_BYTES = 32 * 1024;

export function startApp(options: OriginOptions = {}): Promise<Origin> {
  return startOrigin(app, { ...options, read: { hashOnly: true } });
}

export async function app(exchange: OriginExchange): Promise<void> {
  const { request } = exchange;
  const [, kind, first, second] = request.target.replace(/\?.*$/, "").split("/");
  if (header(request, "expect") === "100-continue") await exchange.wire.send("HTTP/1.1 100 Continue\r\n\r\n");
  if (kind === "bytes" || kind === "chunked" || kind === "close") return sendContent(exchange, kind, Number(first), Number(second));
  const whole = await exchange.body();
  switch (kind) {
    case "name":
      return exchange.reply(200, exchange.origin.name);
    case "echo":
      return exchange.reply(200, request.rawHead);
    case "hash": {
      const trailers = whole.trailers.map(([name, value]) => `${name}=${value}`).join(",");
      return exchange.reply(200, `${whole.bodySize} ${whole.bodyHash} ${trailers}`);
    }
    case "status":
      return exchange.reply(Number(first), `status ${first}`, { "X-Origin": exchange.origin.name });
    default:
      return exchange.reply(200, "hello");
  }
}

async function sendContent(exchange: OriginExchange, kind: "bytes" | "chunked" | "close", size: number, seed: number): Promise<void> {
  const { wire } = exchange;
  const framing = {
    bytes: `Content-Length: ${size}\r\n`,
    chunked: "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
    close: "Connection: close\r\n",
  };
  await wire.send(`HTTP/1.1 200 OK\r\n${framing[kind]}X-Seed: ${seed}\r\n\r\n`);
  if (exchange.request.method === "HEAD") return;
  const content = new SeededContent(seed, size);
  const hash = createHash("sha256");
  for (let chunk = content.next(CHUNK_BYTES); chunk.length > 0 && !wire.isClosed; chunk = content.next(CHUNK_BYTES)) {
    hash.update(chunk);
    await wire.send(
      kind === "chunked" ? Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]) : chunk,
    );
  }
  if (kind === "chunked") await wire.send(`0\r\nX-Sum: ${hash.digest("hex")}\r\n\r\n`);
  if (kind === "close") wire.endWrite();
}
