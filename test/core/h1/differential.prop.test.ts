// Weft's parser and Node's own (llhttp) over the same bytes, through node:http on in-memory sockets. Both must see the same in valid
// messages, and Weft must accept no damaged one that Node refuses or understands in another way (that is what smuggling is
// made of). The few disagreements that we stand by are listed in `isExpectedRefusal`. Weft may refuse more, and does: Node
// does not look into Host and targets.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import http from "node:http";
import { Duplex } from "node:stream";
import { it } from "node:test";
import fc from "fast-check";
import { FIELD_STRIDE, Framing, MessageHead } from "../../../src/core/http/head.ts";
import { bytesOf, LIMITS, parserOf, scanBody } from "./feed.ts";
import { chunkedBody, damaged, requestHead, responseHead } from "./messages.ts";

/** What a parser saw, or "refused", or "incomplete". */
interface Seen {
  readonly start: string;
  readonly fields: readonly string[];
  readonly body: string;
}

/** One end of an in-memory connection that delivers some bytes and then its end. */
class Wire extends Duplex {
  #bytes: Buffer | null;
  readonly #ends: boolean;

  constructor(bytes: Buffer, ends: boolean) {
    super({ allowHalfOpen: true });
    this.#bytes = bytes;
    this.#ends = ends;
  }
  override _read(): void {
    if (this.#bytes === null) return;
    const bytes = this.#bytes;
    this.#bytes = null;
    this.push(bytes);
    if (this.#ends) this.push(null);
  }
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

async function bodyOf(message: http.IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("latin1");
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Node's view of a request. */
function requestByNode(bytes: Buffer): Promise<Seen | string> {
  return new Promise((resolve) => {
    const server = http.createServer({ keepAliveTimeout: 0, maxHeaderSize: LIMITS.headerBytesMax, joinDuplicateHeaders: false });
    const seen = async (request: http.IncomingMessage) => {
      try {
        const start = `${request.method} ${request.url} ${request.httpVersion}`;
        const body = await bodyOf(request);
        resolve({ start, fields: request.rawHeaders, body });
      } catch (error) {
        resolve(`refused: ${String((error as { code?: string }).code)}`);
      }
    };
    server.on("request", seen);
    server.on("checkContinue", seen);
    server.on("checkExpectation", seen);
    server.on("upgrade", () => resolve("upgrade"));
    server.on("connect", () => resolve("connect"));
    server.on("clientError", (error: NodeJS.ErrnoException) =>
      resolve(error.code === "HPE_INVALID_EOF_STATE" || error.code === "ECONNRESET" ? "incomplete" : `refused: ${error.code}`),
    );
    server.emit("connection", new Wire(bytes, false));
    // Everything is in memory: what has not come to an answer within some turns waits for bytes.
    void turns(8).then(() => resolve("incomplete"));
  });
}

/** Node's view of a response to GET. */
function responseByNode(bytes: Buffer): Promise<Seen | string> {
  return new Promise((resolve) => {
    const request = http.request({ createConnection: () => new Wire(bytes, true) as never, maxHeaderSize: LIMITS.headerBytesMax });
    request.on("response", async (response) => {
      try {
        const start = `${response.httpVersion} ${response.statusCode} ${response.statusMessage}`;
        resolve({ start, fields: response.rawHeaders, body: await bodyOf(response) });
      } catch {
        resolve("incomplete");
      }
    });
    request.on("upgrade", () => resolve("upgrade"));
    request.on("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNRESET" ? "incomplete" : `refused: ${error.code}`));
    request.end();
  });
}

/** Weft's view of a message; `size` is where it ends. */
interface SeenByWeft {
  readonly seen: Seen;
  readonly size: number;
}

/** Weft's view of one message with the body that its framing announces, or "refused", or "incomplete". */
function byWeft(kind: "request" | "response", bytes: Buffer): SeenByWeft | string {
  const head = new MessageHead();
  const size = parserOf(kind).parse(bytes, 0, bytes.length, head);
  if (size === 0) return "incomplete";
  if (size < 0) return "refused";
  const fields: string[] = [];
  for (let i = 0; i < head.count; i++) {
    const at = i * FIELD_STRIDE;
    fields.push(head.text(head.fields[at]!, head.fields[at + 1]!), head.text(head.fields[at + 2]!, head.fields[at + 3]!));
  }
  const rest = bytes.subarray(size);
  let body = "";
  let consumed = 0;
  if (kind === "response") {
    const announced = head.contentLength;
    if (head.status !== 204 && head.status !== 304) {
      if (announced > rest.length) return "incomplete";
      body = rest.toString("latin1", 0, announced < 0 ? rest.length : announced);
    }
  } else if (head.framing === Framing.length) {
    if (rest.length < head.contentLength) return "incomplete";
    body = rest.toString("latin1", 0, head.contentLength);
  } else if (head.framing === Framing.chunked) {
    const outcome = scanBody(rest, false);
    if (outcome.result !== "end") return outcome.result === "more" ? "incomplete" : "refused";
    body = outcome.body;
    consumed = outcome.consumed;
  }
  consumed = Math.max(consumed, body.length);
  const version = `1.${head.version - 10}`;
  const start =
    kind === "request"
      ? `${head.text(0, head.methodEnd)} ${head.text(head.targetStart, head.targetEnd)} ${version}`
      : `${version} ${head.status} ${head.text(13, Math.max(13, head.fieldsStart - 2))}`;
  return { seen: { start, fields, body }, size: size + consumed };
}

/** Messages with the body that they announce. */
const wholeRequest = fc.tuple(requestHead, chunkedBody).map(([head, body]) => {
  const rest = head.includes("Transfer-Encoding: chunked")
    ? body.bytes
    : bytesOf(head.includes("Content-Length: 12") ? "twelve bytes" : "");
  return Buffer.concat([bytesOf(head), rest]);
});

/** Does Node refuse what Weft accepts for a reason that we know and stand by? */
function isExpectedRefusal(node: string, message: string): boolean {
  // Node knows a fixed list of methods; any token is one (RFC 9110 section 9.1).
  if (node === "refused: HPE_INVALID_METHOD") return true;
  // Framing fields in trailers: Weft drops them (RFC 9110 section 6.5.1), Node refuses some.
  const body = message.slice(message.indexOf("\r\n\r\n", 8));
  return (
    /^refused: HPE_(INVALID_TRANSFER_ENCODING|INVALID_CONTENT_LENGTH)$/.test(node) && /^(transfer-encoding|content-length):/im.test(body)
  );
}

function agree(weft: Seen, node: Seen | string, message: string): void {
  if (typeof node !== "string") assert.deepEqual(node, weft);
  else assert.ok(isExpectedRefusal(node, message), `Weft accepts what Node calls ${node}: ${JSON.stringify(weft)}`);
}

it("sees the same valid requests as Node, bodies included", async () => {
  await fc.assert(
    fc.asyncProperty(wholeRequest, async (bytes) => {
      const weft = byWeft("request", bytes);
      assert.ok(typeof weft !== "string", `Weft calls a valid request ${String(weft)}`);
      assert.equal(weft.size, bytes.length);
      assert.deepEqual(await requestByNode(bytes), weft.seen);
    }),
    { numRuns: 600 },
  );
});

it("accepts no damaged request that Node refuses or sees in another way", async () => {
  await fc.assert(
    fc.asyncProperty(damaged(wholeRequest.map((bytes) => bytes.toString("latin1"))), async (text) => {
      const bytes = bytesOf(text);
      const weft = byWeft("request", bytes);
      // Node also judges what follows a message; Weft does when it gets there.
      if (typeof weft !== "string") agree(weft.seen, await requestByNode(bytes.subarray(0, weft.size)), text);
    }),
    { numRuns: 1500 },
  );
});

it("sees the same valid responses as Node", async () => {
  await fc.assert(
    fc.asyncProperty(responseHead, async (text) => {
      const bytes = bytesOf(text.includes(" 304") ? text : `${text}hello`);
      const weft = byWeft("response", bytes);
      assert.ok(typeof weft !== "string", `Weft calls a valid response ${String(weft)}`);
      assert.deepEqual(await responseByNode(bytes), weft.seen);
    }),
    { numRuns: 400 },
  );
});
