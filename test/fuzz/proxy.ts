// Target proxy: hostile bytes through the built proxy to an origin that is Node's own server. The origin must see exactly the
// requests that Weft's parser accepts, no more and no fewer, with the same method, target and content; the client gets an
// answer to each, a refusal where there is one, and the end of its connection; the proxy survives with clean accounts.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ERRORS, type ErrorCode } from "../../src/core/errors/error-codes.ts";
import type { HeadLimits } from "../../src/core/h1/head-parser.ts";
import { Detected, detectProtocol } from "../../src/core/tcp/detect.ts";
import type { ExpectedMessage } from "../support/corpus.ts";
import { send } from "../support/corpus-lane.ts";
import { DEFAULT_HEAD_LIMITS, driveRequest } from "../support/h1-driver.ts";
import { cutAt, type Outcome } from "../support/h1-driver-base.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { waitUntil } from "../support/wait.ts";
import { readWire, type WireMessage } from "../support/wire-form.ts";
import { validRequests } from "./mutate.ts";
import { isNodeMethod } from "./node-reader.ts";
import { completeOnes, originTarget } from "./roundtrip.ts";
import { ShortParser } from "./short-parser.ts";
import { corpusInputs, type FuzzTarget, generator, type TargetOptions } from "./target.ts";

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly payload: string;
}

/** Node's server as the origin: every complete request, and what it refused. */
class NodeOrigin {
  readonly seen: Seen[] = [];
  readonly refused: string[] = [];
  /** Requests in the making. */
  open = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.keepAliveTimeout = 0;
    server.maxHeadersCount = 0;
    server.on("request", (request, response) => {
      this.open++;
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        this.seen.push({ method: request.method!, target: request.url!, payload: Buffer.concat(chunks).toString("latin1") });
        response.end("ok");
      });
      request.on("error", () => {});
      request.on("close", () => this.open--);
    });
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      // A request that was cut off is no refusal.
      if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") this.refused.push(error.code ?? error.message);
      socket.destroy();
    });
  }

  static async start(): Promise<NodeOrigin> {
    const server = createServer({ maxHeaderSize: 128 * 1024, requestTimeout: 0, headersTimeout: 0 });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new NodeOrigin(server);
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  reset(): void {
    this.seen.length = 0;
    this.refused.length = 0;
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** Node's parser knows few methods; the others never get past it, and say nothing about Weft. */
function isForNode(outcome: Outcome): boolean {
  return outcome.messages.every((message) => isNodeMethod(message.method) || message.method === "CONNECT");
}

/** Final answers; those to HEAD have no body. */
function answersOf(bytes: Buffer, messages: readonly ExpectedMessage[]): WireMessage[] {
  const heads = messages.map((message) => message.method === "HEAD");
  return readWire(bytes, { kind: "response", isHead: (index) => heads[index] ?? false }).filter((message) => message.status >= 200);
}

function checkAnswers(outcome: Outcome, expected: number, answers: readonly WireMessage[]): void {
  assert.ok(
    answers.every((answer) => answer.isComplete),
    "an answer is not complete",
  );
  for (let i = 0; i < expected; i++) assert.equal(answers[i]?.status, 200, `the answer to request ${i}`);
  const refusals = answers.slice(expected);
  if (outcome.error === "") return;
  assert.equal(refusals.length, 1, "one refusal");
  assert.equal(refusals[0]!.status, ERRORS[outcome.error as ErrorCode].status, "the status of the refusal");
  assert.match(refusals[0]!.head, new RegExp(`\\r\\nl5d-proxy-error: \\[${outcome.error}\\]`));
}

export async function proxyTarget(options: TargetOptions): Promise<FuzzTarget> {
  const origin = await NodeOrigin.start();
  const proxy = await ProxyProcess.start({
    services: { web: { endpoints: [origin.address] } },
    listeners: { http1: { service: "web", protocol: "http1" }, detect: { service: "web", protocol: "detect" } },
  });
  const makeParser = options.canary ? (limits: HeadLimits) => new ShortParser(limits) : undefined;
  return {
    generate: generator(corpusInputs("request"), validRequests),
    async check(input, random, tally) {
      const outcome = driveRequest(input, [], DEFAULT_HEAD_LIMITS, makeParser);
      const isTunnel = outcome.messages.at(-1)?.after === "tunnel";
      // Bytes behind an Upgrade are HTTP again when the origin declines it; the parser alone does not follow them there.
      if (input.length === 0 || !isForNode(outcome) || (isTunnel && outcome.surplus > 0)) return;
      tally.addOutcome(outcome);
      const isHttp = detectProtocol(input, 0, input.length) === Detected.http1;
      const port = proxy.listener(isHttp && random.chance(2) ? "detect" : "http1");
      origin.reset();
      const pieces = cutAt(input, random.cuts(input.length, random.pick([0, 1, 3])));
      const connect = outcome.messages.findIndex((message) => message.method === "CONNECT");
      const complete = connect < 0 ? completeOnes(outcome) : outcome.messages.slice(0, connect);
      // A refusal ends the connection by itself; what is incomplete ends with the client's FIN, which comes at once.
      const ends = outcome.error === "" && connect < 0;
      const view = await send(port, pieces, {
        isEnough: (bytes) => ends && answersOf(bytes, outcome.messages).filter((answer) => answer.isComplete).length >= complete.length,
        endsAtOnce: ends,
      });
      await waitUntil("the origin to be done", () => origin.open === 0);
      assert.deepEqual(origin.refused, [], "the origin refuses what Weft forwards");
      const wanted = complete.map((message) => ({
        method: message.method,
        target: originTarget(message),
        payload: message.payload.toString("latin1"),
      }));
      assert.deepEqual(origin.seen, wanted, "the requests that the origin saw");
      if (connect < 0) checkAnswers(outcome, complete.length, answersOf(view.bytes, outcome.messages));
    },
    async close() {
      try {
        await proxy.stop();
      } finally {
        await origin.stop();
      }
    },
  };
}
