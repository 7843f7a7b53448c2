// Parsing typical heads, with Node's own parser beside it for context.
//
//   npm run bench -- micro head-parser
//
// Only ratios inside one run count. Node's parser makes strings of every field, which the proxy never needs: that is the point.

import type { Buffer } from "node:buffer";
import { RequestHeadParser, ResponseHeadParser } from "../../src/core/h1/head-parser.ts";
import { MessageHead } from "../../src/core/http/head.ts";
import { AB_REQUEST, API_REQUEST, HEAD_LIMITS, HOP_REQUEST, RESPONSE } from "./support/messages.ts";
import { type MicroCase, runMicro } from "./support/micro.ts";

const requestParser = new RequestHeadParser(HEAD_LIMITS);
const responseParser = new ResponseHeadParser(HEAD_LIMITS);
const head = new MessageHead();

function caseOf(name: string, bytes: Buffer, parser: RequestHeadParser | ResponseHeadParser): MicroCase {
  const fields = bytes.toString("latin1").split("\r\n").length - 3;
  return {
    name: `${name} (${bytes.length} bytes)`,
    work: () => {
      parser.reset();
      return parser.parse(bytes, 0, bytes.length, head);
    },
    isRight: (size) => size === bytes.length && head.count === fields,
  };
}

/** Node's own, if this version still hands it out. */
interface NodeParser {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  [callback: number]: unknown;
}

function llhttp(): MicroCase {
  const { HTTPParser } = (
    process as unknown as { binding(name: string): { HTTPParser: { new (): NodeParser; REQUEST: number; kOnHeadersComplete: number } } }
  ).binding("http_parser");
  const parser = new HTTPParser();
  parser[HTTPParser.kOnHeadersComplete | 0] = () => 0;
  parser.initialize(HTTPParser.REQUEST, {});
  return {
    name: "Node's llhttp: request, seven fields",
    work: () => parser.execute(API_REQUEST),
    isRight: (answer) => answer === API_REQUEST.length,
  };
}

await runMicro([
  [
    caseOf("request of ab", AB_REQUEST, requestParser),
    caseOf("request, seven fields", API_REQUEST, requestParser),
    caseOf("request, hop-by-hop fields", HOP_REQUEST, requestParser),
    llhttp(),
  ],
  [caseOf("response, eight fields", RESPONSE, responseParser)],
]);
