// Writing a head that was parsed: untouched, with hop-by-hop fields taken out, with fields of Weft's own put in.
//
//   npm run bench -- micro serialize
//
// The first case of each group is one copy of raw bytes: what the others cost beyond it is the price of the change.

import { Buffer } from "node:buffer";
import { RequestHeadParser, ResponseHeadParser } from "../../src/core/h1/head-parser.ts";
import {
  requestHeadRoom,
  responseHeadRoom,
  type RequestHeadOptions,
  writeRequestHead,
  writeResponseHead,
} from "../../src/core/h1/serialize.ts";
import { MessageHead } from "../../src/core/http/head.ts";
import { AB_REQUEST, API_REQUEST, HEAD_LIMITS, HOP_REQUEST, RESPONSE } from "./support/messages.ts";
import { type MicroCase, runMicro } from "./support/micro.ts";

const out = Buffer.alloc(64 * 1024);
const UNCHANGED: RequestHeadOptions = { hostFallback: null, upgrade: false, forwardedFor: null, via: null, clientId: null };
const FORWARDED: RequestHeadOptions = { ...UNCHANGED, forwardedFor: Buffer.from("192.0.2.17"), via: Buffer.from("weft") };

function headOf(bytes: Buffer, parser: RequestHeadParser | ResponseHeadParser): MessageHead {
  const head = new MessageHead();
  if (parser.parse(bytes, 0, bytes.length, head) !== bytes.length) throw new Error("the sample is no complete head");
  return head;
}

/** `expected` and `refused`: what the written bytes must and must not contain. */
function requestCase(name: string, bytes: Buffer, options: RequestHeadOptions, expected: string, refused: string): MicroCase {
  const head = headOf(bytes, new RequestHeadParser(HEAD_LIMITS));
  if (requestHeadRoom(head) > out.length) throw new Error("no room");
  return {
    name,
    work: () => writeRequestHead(head, out, 0, options),
    isRight: (end) => {
      const text = out.toString("latin1", 0, end as number);
      return text.includes(expected) && !text.includes(refused) && text.endsWith("\r\n\r\n");
    },
  };
}

function responseCase(): MicroCase {
  const head = headOf(RESPONSE, new ResponseHeadParser(HEAD_LIMITS));
  if (responseHeadRoom(head) > out.length) throw new Error("no room");
  const options = { connection: 0, dropTransferEncoding: false, upgrade: false, via: null } as const;
  return {
    name: "response, its Connection field taken out",
    work: () => writeResponseHead(head, out, 0, options),
    isRight: (end) => !out.toString("latin1", 0, end as number).includes("Connection"),
  };
}

await runMicro([
  [
    requestCase("request, seven fields, unchanged", API_REQUEST, UNCHANGED, "X-Request-Id", "X-Forwarded-For"),
    requestCase("request of ab: HTTP/1.0 and Connection", AB_REQUEST, UNCHANGED, "GET /small HTTP/1.1", "Keep-Alive"),
    requestCase("request, hop-by-hop fields taken out", HOP_REQUEST, UNCHANGED, "X-Request-Id", "X-Hop"),
    requestCase("request, X-Forwarded-For and Via put in", API_REQUEST, FORWARDED, "X-Forwarded-For: 192.0.2.17", "\0"),
  ],
  [responseCase()],
]);
