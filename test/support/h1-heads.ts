// Heads as the HTTP/1 codec makes them of text.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { RequestHeadParser, ResponseHeadParser } from "../../src/core/h1/head-parser.ts";
import { MessageHead } from "../../src/core/http/head.ts";

const LIMITS = { headerBytesMax: 65_536, headerCountMax: 200 };

export function h1Request(text: string): MessageHead {
  const head = new MessageHead();
  const bytes = Buffer.from(text, "latin1");
  assert.equal(new RequestHeadParser(LIMITS).parse(bytes, 0, bytes.length, head), bytes.length, JSON.stringify(text));
  return head;
}

export function h1Response(text: string): MessageHead {
  const head = new MessageHead();
  const bytes = Buffer.from(text, "latin1");
  assert.equal(new ResponseHeadParser(LIMITS).parse(bytes, 0, bytes.length, head), bytes.length, JSON.stringify(text));
  return head;
}
