// The HTTP/1 corpus (test/fixtures/h1) through a running proxy with real sockets, on ports with `protocol: http1` and with
// `protocol: detect`: whole, byte by byte, split in two, and behind another valid message.
//
// What is refused must leave no trace at the origin: it records every byte, and a request sent behind proves that nothing was
// merely late. A case runs in a lane (listener, service and origin of its own); lanes run side by side.
// All two-way splits on sockets take minutes: WEFT_CORPUS_SPLITS=all asks for them, otherwise a few of each case are tried.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, it } from "node:test";
import { type CorpusCase, escapeBytes, loadCorpus, type Rejection } from "../support/corpus.ts";
import { type Answer, type ClientView, LaneOrigin, PLAIN_ANSWER, send } from "../support/corpus-lane.ts";
import { cutAt, everyCut } from "../support/h1-driver-base.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { canonicalWire, readWire, type WireOptions } from "../support/wire-form.ts";

type PortKind = "http1" | "detect";

interface Lane {
  readonly origin: LaneOrigin;
  readonly port: number;
}

interface Mode {
  readonly name: string;
  readonly cuts: readonly number[];
  readonly isBehind: boolean;
}

const LANES = 8;
const PREFIX = Buffer.from("GET /first HTTP/1.1\r\nHost: web\r\nX-A: 1\r\n\r\n");
const SENTINEL = Buffer.from("GET /sentinel HTTP/1.1\r\nHost: web\r\n\r\n");
/** Two-way splits of each case that are always tried; the parser's own runner tries all. */
const SPLITS = process.env["WEFT_CORPUS_SPLITS"] === "all" ? Number.POSITIVE_INFINITY : 4;
/** A larger input goes byte by byte only through the parser's own runner. */
const BYTEWISE_MAX = 2000;
/** Input up to this size arrives in one read. */
const ONE_READ_BYTES = 16_384;
/** For a client that is late on a busy machine the endpoint is dialled ahead, and that connection carries its request, not the pooled one. */
const DETECT_TIMEOUT_MS = 10_000;
const REQUESTS: WireOptions = { kind: "request" };

const cases = loadCorpus();

/** Cases that need limits of their own get a proxy of their own. */
const limitGroups = [...new Set(cases.map((one) => JSON.stringify(one.limits)))];

function inputOf(one: CorpusCase): Buffer {
  return one.kind === "request" ? one.request : one.response!;
}

function modesOf(one: CorpusCase): Mode[] {
  const size = inputOf(one).length;
  const every = size > BYTEWISE_MAX ? everyCut(size).filter((at) => at < 40 || at > size - 40 || at % 4999 === 0) : everyCut(size);
  const modes: Mode[] = [
    { name: "whole", cuts: [], isBehind: false },
    { name: "byte by byte", cuts: every, isBehind: false },
    { name: "behind another message", cuts: [], isBehind: true },
    { name: "behind another message, byte by byte", cuts: every, isBehind: true },
  ];
  const splits = size > BYTEWISE_MAX ? Math.min(SPLITS, 20) : SPLITS;
  const step = Math.max(1, Math.floor(size / (splits + 1)));
  for (let at = step; at < size; at += step) modes.push({ name: `split at ${at}`, cuts: [at], isBehind: false });
  return modes;
}

function assertRefusal(view: ClientView, response: string, rejection: Rejection): void {
  assert.equal(Number(response.slice(9, 12)), rejection.status, "the status of the refusal");
  assert.match(response, /\r\nconnection: close\r\n/i, "the refusal says that the connection ends");
  const code = /\r\nl5d-proxy-error: \[(\w+)\]/.exec(response)?.[1];
  assert.ok(rejection.codes.includes(code ?? ""), `${code} instead of ${rejection.codes.join(" or ")}`);
  assert.ok(view.wasEnded, "the proxy ends the connection behind a refusal");
}

/** Nothing but these bytes was at the origin, also after another request. `isPartial`: the last message may have begun. */
async function assertOriginSaw(lane: Lane, expected: Buffer, mode: Mode, isPartial: boolean): Promise<void> {
  const { origin, port } = lane;
  const before = origin.record;
  const wanted = canonicalWire(expected, REQUESTS);
  const got = canonicalWire(before, REQUESTS);
  if (isPartial) {
    const complete = readWire(expected, REQUESTS).filter((message) => message.isComplete);
    assert.ok(wanted.startsWith(got), `the origin saw\n${escapeBytes(before)}\nwhich is no beginning of\n${escapeBytes(expected)}`);
    const seen = readWire(before, REQUESTS).filter((message) => message.isComplete);
    assert.equal(seen.length, complete.length, "complete messages that the origin saw");
  } else if (mode.cuts.length === 0) assert.equal(escapeBytes(before), escapeBytes(expected), "what the origin saw");
  else assert.equal(got, wanted, "what the origin saw");
  const view = await send(port, [SENTINEL], { isEnough: (bytes) => bytes.length >= PLAIN_ANSWER.length, endsAtOnce: false });
  assert.equal(view.bytes.toString("latin1"), PLAIN_ANSWER.toString("latin1"), "the answer to the sentinel");
  assert.equal(escapeBytes(origin.record.subarray(before.length)), escapeBytes(SENTINEL), "what the origin saw behind");
}

/** HTTP/1.0 requests without a Host get the endpoint's address, where the parser's runner writes `web`. */
function forwardOf(one: CorpusCase, lane: Lane): Buffer {
  const names = /^Host:/im.test(one.request.toString("latin1")) || one.messages.some((message) => message.authority !== "");
  if (names || one.messages.length === 0) return one.forward;
  return Buffer.from(one.forward.toString("latin1").replace("\r\nHost: web\r\n", `\r\nHost: ${lane.origin.address}\r\n`), "latin1");
}

async function runOpaque(one: CorpusCase, lane: Lane, mode: Mode): Promise<void> {
  lane.origin.isRaw = true;
  await send(lane.port, cutAt(one.request, mode.cuts), { isEnough: () => false, endsAtOnce: true });
  await lane.origin.until("all opaque bytes", () => lane.origin.record.length >= one.request.length);
  assert.equal(escapeBytes(lane.origin.record), escapeBytes(one.request), "what the origin saw of an opaque connection");
}

async function runRequest(one: CorpusCase, kind: PortKind, lane: Lane, mode: Mode): Promise<void> {
  if (kind === "detect" && !mode.isBehind && one.isOpaque) return runOpaque(one, lane, mode);
  const rejection = one.reject;
  const isPartial = rejection?.stage === "body" || one.incomplete === "body";
  const accepted = rejection === null || rejection.by === "parser" ? [...one.messages] : [];
  if (isPartial) accepted.pop();
  const heads = [...(mode.isBehind ? [false] : []), ...accepted.map((message) => message.method === "HEAD")];
  const options: WireOptions = { kind: "response", isHead: (index) => heads[index] ?? false };
  const finals = (bytes: Buffer): number =>
    readWire(bytes, options).filter((message) => message.isComplete && message.status >= 200).length;
  const mustEnd = rejection !== null || accepted.at(-1)?.after === "close";
  const pieces = [...(mode.isBehind ? [PREFIX] : []), ...cutAt(one.request, mode.cuts)];
  const view = await send(lane.port, mode.isBehind && mode.cuts.length === 0 ? [Buffer.concat(pieces)] : pieces, {
    isEnough: (bytes) => !mustEnd && one.incomplete === null && finals(bytes) >= heads.length,
    endsAtOnce: one.incomplete !== null,
  });
  const responses = readWire(view.bytes, options).filter((message) => message.status >= 200);
  // Bytes that a client sends behind its own close, and that come in pieces, may meet a connection that is closed: the kernel answers by a reset, which may take
  // an answer with it that the client had not read yet.
  const wasReset = rejection === null && mode.cuts.length > 0 && accepted.at(-1)?.after === "close" && !view.wasEnded;
  for (let i = 0; i < heads.length; i++) {
    if (wasReset && responses[i] === undefined) break;
    assert.equal(responses[i]?.status, 200, `the answer to request ${i}: ${JSON.stringify(view.bytes.toString("latin1"))}`);
  }
  if (rejection !== null) {
    assert.equal(responses.length, heads.length + 1, "one refusal and nothing behind it");
    assertRefusal(view, responses.at(-1)!.head, rejection);
  } else if (one.incomplete === null) {
    assert.ok(wasReset ? responses.length <= heads.length : responses.length === heads.length, "as many answers as requests");
    if (!mustEnd || mode.cuts.length === 0) assert.equal(view.wasEnded, mustEnd, "who ended the connection");
  }
  const forward = Buffer.concat([...(mode.isBehind ? [PREFIX] : []), forwardOf(one, lane)]);
  if (isPartial) await lane.origin.until("the end of the incomplete request", () => lane.origin.isCutOff);
  // A bad body that came with its head is found before anything of the request goes on.
  const wasFoundInTime = rejection?.stage === "body" && mode.cuts.length === 0 && one.request.length < ONE_READ_BYTES;
  await assertOriginSaw(lane, wasFoundInTime ? completePart(forward) : forward, mode, isPartial && !wasFoundInTime);
}

function completePart(bytes: Buffer): Buffer {
  const complete = readWire(bytes, REQUESTS).filter((message) => message.isComplete);
  return Buffer.from(complete.map((message) => message.canonical).join(""), "latin1");
}

async function runResponse(one: CorpusCase, lane: Lane, mode: Mode): Promise<void> {
  const answer: Answer = { pieces: cutAt(one.response!, mode.cuts), thenClose: one.originCloses };
  lane.origin.answers = mode.isBehind ? [null, answer] : [answer];
  const isHead = one.request.toString("latin1").startsWith("HEAD ");
  const options: WireOptions = {
    kind: "response",
    isHead: (index) => isHead && index === (mode.isBehind ? 1 : 0),
    mergesChunks: one.messages.at(-1)?.body === "close",
  };
  const prefix = mode.isBehind ? PLAIN_ANSWER : Buffer.alloc(0);
  const expected = Buffer.concat([prefix, one.client]);
  const isRefused = one.incomplete === "head" || one.reject?.stage === "head" || one.reject?.by === "proxy";
  const isCut = one.incomplete === "body" || one.reject?.stage === "body";
  const wanted = canonicalWire(expected, options);
  const mustEnd = isRefused || isCut || /\r\nconnection: close\r\n/i.test(one.client.toString("latin1"));
  const view = await send(lane.port, [Buffer.concat([mode.isBehind ? PREFIX : Buffer.alloc(0), one.request])], {
    isEnough: (bytes) => !mustEnd && canonicalWire(bytes, options).length >= wanted.length,
    endsAtOnce: false,
  });
  const got = canonicalWire(view.bytes, options);
  if (isRefused) {
    const rejection = one.reject ?? { status: 502, codes: [], stage: "head", by: "parser" };
    const refusal = readWire(view.bytes, options).filter((message) => message.status >= 200)[mode.isBehind ? 1 : 0];
    assert.ok(refusal !== undefined, `no refusal: ${JSON.stringify(view.bytes.toString("latin1"))}`);
    assertRefusal(view, refusal.head, { ...rejection, codes: [...rejection.codes, "WEFT_UPSTREAM_PROTOCOL", "WEFT_UPSTREAM_CLOSED"] });
    assert.equal(refusal.payload.length, 0);
  } else if (isCut) {
    assert.ok(wanted.startsWith(got), `the client got\n${escapeBytes(view.bytes)}\nwhich is no beginning of\n${escapeBytes(expected)}`);
    assert.notEqual(readWire(view.bytes, options).at(-1)?.isComplete, true, "the client got a message that looks complete");
  } else {
    if (mode.cuts.length === 0 && options.mergesChunks !== true)
      assert.equal(escapeBytes(view.bytes), escapeBytes(expected), "what the client got");
    else assert.equal(got, wanted, "what the client got");
    assert.equal(view.wasEnded, mustEnd, "who ended the connection");
  }
  await lane.origin.until("the whole answer to be written", () => lane.origin.isQuiet);
  await assertReuse(one, lane, isRefused || isCut || one.surplus || one.messages.at(-1)!.after !== "keep-alive");
}

/** The origin's connection carries the next request exactly when the response allows it, and the next client gets its own answer. */
async function assertReuse(one: CorpusCase, lane: Lane, isSpent: boolean): Promise<void> {
  const { requestConnections } = lane.origin;
  const used = requestConnections.at(-1);
  lane.origin.answers = [];
  const view = await send(lane.port, [SENTINEL], { isEnough: (bytes) => bytes.length >= PLAIN_ANSWER.length, endsAtOnce: false });
  assert.equal(view.bytes.toString("latin1"), PLAIN_ANSWER.toString("latin1"), "the answer to the next client");
  if (isSpent) assert.notEqual(requestConnections.at(-1), used, `${one.title}: the origin's connection was used again`);
  else assert.equal(requestConnections.at(-1), used, `${one.title}: the origin's connection was not used again`);
}

async function runCase(one: CorpusCase, kind: PortKind, lane: Lane): Promise<string[]> {
  const problems: string[] = [];
  for (const mode of modesOf(one)) {
    lane.origin.reset();
    try {
      if (one.kind === "request") await runRequest(one, kind, lane, mode);
      else await runResponse(one, lane, mode);
    } catch (error) {
      problems.push(`${one.file}:${one.line} ${one.title}\n  ${kind}, ${mode.name}: ${(error as Error).message}`);
      break;
    }
  }
  return problems;
}

describe("the HTTP/1 corpus through a proxy", () => {
  const proxies = new Map<string, ProxyProcess>();
  const lanes = new Map<string, Lane[]>();

  before(async () => {
    for (const limits of limitGroups) {
      const count = limits === "{}" ? LANES : 1;
      const origins = await Promise.all(Array.from({ length: count }, () => LaneOrigin.start()));
      const proxy = await ProxyProcess.start({
        services: Object.fromEntries(origins.map((origin, i) => [`lane${i}`, { endpoints: [origin.address] }])),
        limits: { ...(JSON.parse(limits) as Record<string, number>), detectTimeoutMs: DETECT_TIMEOUT_MS },
        listeners: Object.fromEntries(
          origins.flatMap((_, i) => [
            [`http1-${i}`, { service: `lane${i}`, protocol: "http1" }],
            [`detect-${i}`, { service: `lane${i}`, protocol: "detect" }],
          ]),
        ),
      });
      proxies.set(limits, proxy);
      for (const kind of ["http1", "detect"] as const) {
        lanes.set(
          `${kind} ${limits}`,
          origins.map((origin, i) => ({ origin, port: proxy.listener(`${kind}-${i}`) })),
        );
      }
    }
  });

  after(async () => {
    const origins = [...lanes.values()].flat().map((lane) => lane.origin);
    try {
      for (const proxy of proxies.values()) await proxy.stop();
    } finally {
      await Promise.all([...new Set(origins)].map((origin) => origin.stop()));
    }
  });

  for (const kind of ["http1", "detect"] as const) {
    for (const file of new Set(cases.map((one) => one.file))) {
      it(`${file.replace(".md", "")} on a port with protocol ${kind}`, async () => {
        const problems: string[] = [];
        for (const limits of limitGroups) {
          const queue = cases.filter((one) => one.file === file && JSON.stringify(one.limits) === limits);
          const work = async (lane: Lane): Promise<void> => {
            for (let one = queue.shift(); one !== undefined; one = queue.shift()) problems.push(...(await runCase(one, kind, lane)));
          };
          await Promise.all(lanes.get(`${kind} ${limits}`)!.map(work));
        }
        assert.equal(problems.length, 0, `\n${problems.join("\n")}`);
      });
    }
  }
});
