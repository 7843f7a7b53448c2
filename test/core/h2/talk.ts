// What the tests of this folder say to an engine, and what they look for in its answer.

import type { Buffer } from "node:buffer";
import { Engine, NO_EDITS } from "../../support/h2-engine.ts";
import { h1Request } from "../../support/h1-heads.ts";
import { headers } from "../../support/h2-frames.ts";
import { block, type Fields } from "../../support/h2-hpack.ts";

export const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "web"],
];
export const POST: Fields = [[":method", "POST"], ...GET.slice(1)];
export const OK: Buffer = block([[":status", "200"]]);

export const get = (id: number): Buffer => headers(id, block(GET), { endStream: true });
export const post = (id: number, ...more: Fields): Buffer => headers(id, block([...POST, ...more]));

/** What the engine sends about errors. */
export function verdict(engine: Engine): string[] {
  return engine.sent().filter((line) => /^(RST_STREAM|GOAWAY)/.test(line));
}

/** A client engine with one request on stream 1, whose body is still to come. */
export function asking(): Engine {
  const engine = Engine.client();
  engine
    .open()
    .stream.sendRequestHead(h1Request("POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n"), NO_EDITS, false, false);
  engine.sent();
  return engine;
}

export const LAST = (id: number, code: string): string[] => [`GOAWAY ${id} ${code}`];
