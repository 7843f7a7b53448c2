// Target roundtrip: what Weft forwards of accepted requests is read by everybody as Weft read it: by Weft again, by a strict
// grammar, and by Node's parser: as many requests, the same methods, targets, framing and content. A request that one reader
// sees and the other does not is a smuggled one.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { HeadLimits } from "../../src/core/h1/head-parser.ts";
import type { ExpectedMessage } from "../support/corpus.ts";
import { DEFAULT_HEAD_LIMITS, driveRequest } from "../support/h1-driver.ts";
import type { Outcome } from "../support/h1-driver-base.ts";
import { canonicalWire, readWire } from "../support/wire-form.ts";
import { validRequests } from "./mutate.ts";
import { isNodeMethod, NodeReader, type NodeReading } from "./node-reader.ts";
import { ShortParser } from "./short-parser.ts";
import { corpusInputs, type FuzzTarget, generator, type TargetOptions } from "./target.ts";

/** A head as an HTTP/1.1 server may get it, written down once more. */
const HEAD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP\/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n$/;
const ONE_CONNECTION =
  /\r\n(?:keep-alive|proxy-connection|http2-settings|l5d[-_](?:dst[-_]override|require[-_]id|client[-_]id|dst[-_]canonical|orig[-_]proto|proxy[-_]error|proxy[-_]connection))[ \t]*:/i;

function count(head: string, name: string): number {
  return head.split("\r\n").filter((line) => line.toLowerCase().startsWith(`${name}:`)).length;
}

function checkHead(head: string): void {
  assert.match(head, HEAD, "a head that a strict server refuses");
  assert.doesNotMatch(head, ONE_CONNECTION, "a field of one connection went on");
  assert.equal(count(head, "host"), 1, "exactly one Host");
  const framing = [count(head, "content-length"), count(head, "transfer-encoding")];
  assert.ok(framing[0]! + framing[1]! <= 1, "more than one framing field");
  assert.ok(framing[1] === 0 || /\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n/i.test(head), "a coding other than chunked");
  for (const line of head.split("\r\n").filter((text) => /^connection:/i.test(text)))
    assert.match(line, /^Connection: (TE|Upgrade|Upgrade, TE)$/);
}

/** The target in the form in which an origin gets it (RFC 9112 section 3.2). */
export function originTarget(message: ExpectedMessage): string {
  const absolute = /^http:\/\/[^/?]*(.*)$/is.exec(message.target);
  if (absolute === null || message.method === "CONNECT") return message.target;
  const path = absolute[1]!;
  if (path === "") return message.method === "OPTIONS" ? "*" : "/";
  return path.startsWith("/") ? path : `/${path}`;
}

/** What two readings of a request have in common. */
function facts(message: ExpectedMessage): unknown {
  const { method, body, length, trailers, expectsContinue } = message;
  return {
    method,
    target: originTarget(message),
    body,
    length,
    payload: message.payload.toString("latin1"),
    trailers: trailers.toString("latin1"),
    expectsContinue,
  };
}

/** Requests that Weft forwarded completely. */
export function completeOnes(outcome: Outcome): readonly ExpectedMessage[] {
  const isCut = outcome.incomplete === "body" || outcome.stage === "body";
  return isCut ? outcome.messages.slice(0, -1) : outcome.messages;
}

/** Weft reads what it wrote as it read what it got, and writes it as it is. */
function checkOurselves(outcome: Outcome): void {
  const again = driveRequest(outcome.forward, []);
  assert.equal(again.error, "", "Weft refuses what it forwards");
  const all = outcome.messages.map(facts);
  const same = outcome.stage === "body" ? all.length - 1 : all.length;
  assert.deepEqual(again.messages.map(facts).slice(0, same), all.slice(0, same), "read again");
  const isTunnel = again.messages.at(-1)?.after === "tunnel";
  assert.equal(again.messages.length, outcome.messages.length, "as many requests");
  assert.equal(
    again.incomplete,
    isTunnel ? null : outcome.stage === "body" ? "body" : outcome.incomplete === "body" ? "body" : null,
    "the same end",
  );
  const options = { kind: "request" } as const;
  assert.equal(canonicalWire(again.forward, options), canonicalWire(outcome.forward, options), "forwarded again");
}

/** The same requests for Node: methods that its parser does not know are exchanged for one that it does. */
function forNode(forward: Buffer): Buffer {
  const parts = readWire(forward, { kind: "request" }).map((message) => {
    const space = message.canonical.indexOf(" ");
    return isNodeMethod(message.canonical.slice(0, space)) ? message.canonical : `PATCH${message.canonical.slice(space)}`;
  });
  return Buffer.from(parts.join(""), "latin1");
}

function checkNode(outcome: Outcome, reading: NodeReading): void {
  assert.equal(reading.error, "", "Node refuses what Weft forwards");
  const complete = completeOnes(outcome);
  assert.equal(reading.requests.length, complete.length, "as many complete requests as Weft saw");
  assert.ok(reading.begun <= outcome.messages.length, "no more requests than Weft saw");
  complete.forEach((message, i) => {
    const other = reading.requests[i]!;
    assert.equal(other.method, isNodeMethod(message.method) ? message.method : "PATCH");
    assert.equal(other.url, originTarget(message));
    assert.equal(other.payload, message.payload.toString("latin1"), "content");
    assert.equal(other.trailers.length / 2, message.trailers.toString("latin1").split("\r\n").length - 1, "trailers");
  });
}

/** Node takes a coding with tabs around it for an unknown one, and with an Upgrade for none at all. Weft reads it, and writes it anew. */
const TAB_AROUND_CODING = /\r\ntransfer-encoding:(?:[ \t]*\t[ \t]*chunked|[ \t]*chunked[ \t]*\t)/i;

/** What both accept of the client's own bytes, both read the same way, request by request. */
function checkAgreement(outcome: Outcome, reading: NodeReading): void {
  const complete = completeOnes(outcome);
  const both = Math.min(complete.length, reading.requests.length);
  for (let i = 0; i < both; i++) {
    const [message, other] = [complete[i]!, reading.requests[i]!];
    assert.deepEqual(
      [other.method, other.url, other.payload],
      [message.method, message.target, message.payload.toString("latin1")],
      `request ${i} of the client's bytes`,
    );
  }
  const wasReadToTheEnd = outcome.error === "" && outcome.messages.at(-1)?.after === "keep-alive";
  if (wasReadToTheEnd) assert.ok(reading.requests.length <= complete.length, "Node sees more requests in the client's bytes than Weft");
}

export function roundtripTarget(options: TargetOptions): FuzzTarget {
  const reader = new NodeReader();
  const makeParser = options.canary ? (limits: HeadLimits) => new ShortParser(limits) : undefined;
  return {
    generate: generator(corpusInputs("request"), validRequests),
    async check(input, _random, tally) {
      const outcome = driveRequest(input, [], DEFAULT_HEAD_LIMITS, makeParser);
      tally.addOutcome(outcome);
      if (!TAB_AROUND_CODING.test(input.toString("latin1"))) checkAgreement(outcome, await reader.read(input));
      // CONNECT is refused by the proxy; nothing of it goes on.
      if (outcome.messages.length === 0 || outcome.messages.some((message) => message.method === "CONNECT")) return;
      for (const message of readWire(outcome.forward, { kind: "request" })) checkHead(message.head);
      checkOurselves(outcome);
      checkNode(outcome, await reader.read(forNode(outcome.forward)));
    },
  };
}
