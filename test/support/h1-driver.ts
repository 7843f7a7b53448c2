// A client's and an origin's connection, run through the codec: which message was read, what of it goes on.
//
// What the proxy decides and the codec does not (what a client is told about its connection, which connection carries another
// message) is decided here as the RFCs say; h1-driver-base.ts has what both directions share.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Framing, MessageHead, Method } from "../../src/core/http/head.ts";
import { responseFraming } from "../../src/core/h1/framing.ts";
import { type HeadLimits, RequestHeadParser, ResponseHeadParser } from "../../src/core/h1/head-parser.ts";
import { ConnectionOption, requestHeadRoom, responseHeadRoom, writeRequestHead, writeResponseHead } from "../../src/core/h1/serialize.ts";
import type { After, BodyKind } from "./corpus.ts";
import { cutAt, Driver, type Outcome, State } from "./h1-driver-base.ts";

export const DEFAULT_HEAD_LIMITS: HeadLimits = { headerBytesMax: 32 * 1024, headerCountMax: 100 };

/** The codec's entry point that the driver calls; the canary of the fuzzer puts broken ones in their place. */
export interface HeadParser {
  reset(): void;
  parse(buf: Buffer, start: number, end: number, head: MessageHead): number;
  /** Requests: nothing but empty lines so far. */
  readonly isBlank?: boolean;
}

const HOST_FALLBACK = Buffer.from("web");

function bodyOf(head: MessageHead, framing: number): BodyKind {
  if (framing === Framing.chunked) return "chunked";
  if (framing === Framing.untilClose) return "close";
  return framing === Framing.length || head.contentLength === 0 ? "length" : "none";
}

function stateOf(framing: number): State {
  if (framing === Framing.length) return State.length;
  if (framing === Framing.chunked) return State.chunked;
  return framing === Framing.untilClose ? State.untilClose : State.head;
}

/** A client's connection. */
class RequestDriver extends Driver {
  readonly #parser: HeadParser;
  #isPersistent = true;

  constructor(limits: HeadLimits, makeParser: (limits: HeadLimits) => HeadParser) {
    super(limits);
    this.#parser = makeParser(limits);
    this.#parser.reset();
  }

  protected parseHead(buffer: Buffer, start: number, end: number): number {
    return this.#parser.parse(buffer, start, end, this.head);
  }

  protected isBetween(): boolean {
    return this.#parser.isBlank === true;
  }

  protected takeHead(): State {
    const { head } = this;
    const isUpgrade = head.hasUpgrade && head.saysUpgrade;
    const isTunnel = isUpgrade || head.method === Method.connect;
    let after: After = head.isPersistent ? "keep-alive" : "close";
    if (isTunnel) after = "tunnel";
    this.messages.push({
      method: head.text(0, head.methodEnd),
      target: head.text(head.targetStart, head.targetEnd),
      authority: head.text(head.authorityStart, head.authorityEnd),
      status: 0,
      version: head.version as 10 | 11,
      body: bodyOf(head, head.framing),
      length: head.contentLength,
      payload: Buffer.alloc(0),
      trailers: Buffer.alloc(0),
      after,
      expectsContinue: head.expectsContinue,
    });
    this.writeHead(requestHeadRoom(head), (out, at) =>
      writeRequestHead(head, out, at, { hostFallback: HOST_FALLBACK, upgrade: isUpgrade, forwardedFor: null, via: null, clientId: null }),
    );
    this.#isPersistent = head.isPersistent;
    this.#parser.reset();
    return isTunnel ? State.tunnel : stateOf(head.framing);
  }

  protected afterMessage(): State {
    return this.#isPersistent ? State.head : State.closed;
  }
}

/** What a response's reading depends on. */
export interface RequestFacts {
  readonly method: number;
  readonly version: number;
  readonly isPersistent: boolean;
  readonly isUpgrade: boolean;
}

/** An origin's connection, for the answer to one request. */
class ResponseDriver extends Driver {
  readonly #parser: HeadParser;
  readonly #request: RequestFacts;
  #isInformational = false;

  constructor(request: RequestFacts, limits: HeadLimits, makeParser: (limits: HeadLimits) => HeadParser) {
    super(limits);
    this.#request = request;
    this.#parser = makeParser(limits);
    this.#parser.reset();
  }

  protected parseHead(buffer: Buffer, start: number, end: number): number {
    return this.#parser.parse(buffer, start, end, this.head);
  }

  protected isBetween(): boolean {
    return false;
  }

  protected takeHead(): State {
    const { head } = this;
    const request = this.#request;
    this.#parser.reset();
    const isUpgrade = head.status === 101;
    this.#isInformational = head.status < 200 && !isUpgrade;
    const framing = responseFraming(head, request.method);
    const isSurelyOver = framing !== Framing.untilClose;
    this.messages.push({
      method: "",
      target: "",
      authority: "",
      status: head.status,
      version: head.version as 10 | 11,
      body: bodyOf(head, framing),
      length: framing === Framing.length || head.contentLength === 0 ? head.contentLength : -1,
      payload: Buffer.alloc(0),
      trailers: Buffer.alloc(0),
      after: head.isPersistent && isSurelyOver ? "keep-alive" : "close",
      expectsContinue: false,
    });
    if (request.method === Method.head || head.status < 200 || head.status === 204 || head.status === 304) {
      const message = this.messages.at(-1)!;
      message.body = "none";
      message.length = -1;
    }
    this.decodes = request.version === 10 && framing === Framing.chunked;
    if (!(this.#isInformational && request.version === 10)) {
      this.writeHead(responseHeadRoom(head), (out, at) =>
        writeResponseHead(head, out, at, {
          connection: this.#connectionOption(framing),
          dropTransferEncoding: request.version === 10,
          upgrade: isUpgrade,
          via: null,
        }),
      );
    }
    return isUpgrade ? State.tunnel : stateOf(framing);
  }

  #connectionOption(framing: number): ConnectionOption {
    if (this.#isInformational) return ConnectionOption.none;
    if (!this.#request.isPersistent || framing === Framing.untilClose || this.decodes) return ConnectionOption.close;
    return this.#request.version === 10 ? ConnectionOption.keepAlive : ConnectionOption.none;
  }

  protected afterMessage(): State {
    return this.#isInformational ? State.head : State.closed;
  }
}

/** Runs a client's bytes, cut at the given positions. */
export function driveRequest(
  bytes: Buffer,
  cuts: readonly number[] = [],
  limits: HeadLimits = DEFAULT_HEAD_LIMITS,
  makeParser: (limits: HeadLimits) => HeadParser = (given) => new RequestHeadParser(given),
): Outcome {
  const driver = new RequestDriver(limits, makeParser);
  for (const piece of cutAt(bytes, cuts)) driver.push(piece);
  return driver.outcome();
}

/** Runs an origin's bytes, cut at the given positions. */
export function driveResponse(
  request: RequestFacts,
  bytes: Buffer,
  cuts: readonly number[] = [],
  limits: HeadLimits = DEFAULT_HEAD_LIMITS,
  makeParser: (limits: HeadLimits) => HeadParser = (given) => new ResponseHeadParser(given),
): Outcome {
  const driver = new ResponseDriver(request, limits, makeParser);
  for (const piece of cutAt(bytes, cuts)) driver.push(piece);
  return driver.outcome();
}

/** What a response needs to know of the (first) request in these bytes. */
export function requestFacts(bytes: Buffer): RequestFacts {
  const head = new MessageHead();
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS);
  parser.reset();
  const size = parser.parse(bytes, 0, bytes.length, head);
  assert.ok(size > 0, "the request of a response case is accepted");
  return { method: head.method, version: head.version, isPersistent: head.isPersistent, isUpgrade: head.hasUpgrade && head.saysUpgrade };
}
