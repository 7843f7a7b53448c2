// A second, slow and obvious HTTP/1 reader, for tests only: what went over the wire is judged by other code than Weft's own.
//
// It takes bytes as they come and is strict about what it checks: lines end in CRLF, lengths are plain numbers, an end of
// the stream in the middle of a message is an error. It does not judge fields, targets or methods.

import { createHash, type Hash } from "node:crypto";

export type Header = readonly [name: string, value: string];
export type MessageFraming = "none" | "length" | "chunked" | "until-close";

export interface Message {
  readonly startLine: string;
  /** Responses: the code; requests: 0. */
  readonly status: number;
  /** Requests: method and target. */
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** The head as it was on the wire, final empty line included. */
  readonly rawHead: string;
  readonly headers: readonly Header[];
  framing: MessageFraming;
  /** Empty when only a hash was asked for. */
  body: Buffer;
  bodySize: number;
  /** SHA-256 of the body, when asked for. */
  bodyHash: string;
  trailers: Header[];
  /** Responses: the 1xx heads that came before. */
  readonly informational: Message[];
}

export interface ReadOptions {
  /** The response answers HEAD: it has no body whatever it says. */
  readonly isHead?: boolean;
  /** Keep no bytes, only their SHA-256. */
  readonly hashOnly?: boolean;
}

/** Value of a field, several joined by a comma; undefined without one. */
export function header(message: Message, name: string): string | undefined {
  const values = message.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
}

export function text(message: Message): string {
  return message.body.toString("latin1");
}

type Stage = "head" | "length" | "close" | "size" | "data" | "data-end" | "trailers" | "done";

export class MessageReader {
  readonly #kind: "request" | "response";
  readonly #options: ReadOptions;
  #stage: Stage = "head";
  #line = "";
  #lines: string[] = [];
  #left = 0;
  #chunks: Buffer[] = [];
  #hash: Hash | null = null;
  #informational: Message[] = [];
  #message: Message | null = null;

  constructor(kind: "request" | "response", options: ReadOptions = {}) {
    this.#kind = kind;
    this.#options = options;
    if (options.hashOnly) this.#hash = createHash("sha256");
  }

  /** The message as far as it is known; null before its head. */
  get message(): Message | null {
    return this.#message;
  }

  get isDone(): boolean {
    return this.#stage === "done";
  }

  /** True before the first byte of a message. */
  get isFresh(): boolean {
    return this.#stage === "head" && this.#line === "" && this.#lines.length === 0 && this.#informational.length === 0;
  }

  /** Takes bytes; gives the number that belongs to this message. With `headOnly` it stops behind the head. */
  push(bytes: Buffer, headOnly = false): number {
    let at = 0;
    while (at < bytes.length && this.#stage !== "done" && !(headOnly && this.#message !== null)) {
      if (this.#stage === "length" || this.#stage === "data" || this.#stage === "close") at = this.#takeBody(bytes, at);
      else at = this.#takeLine(bytes, at);
    }
    return at;
  }

  /** The stream ended. */
  end(): void {
    if (this.#stage === "close") this.#finish();
    if (this.#stage !== "done") throw new Error(`stream ended in stage '${this.#stage}' after ${this.#message?.bodySize ?? 0} body bytes`);
  }

  #takeBody(bytes: Buffer, at: number): number {
    const take = this.#stage === "close" ? bytes.length - at : Math.min(this.#left, bytes.length - at);
    const chunk = bytes.subarray(at, at + take);
    if (this.#hash !== null) this.#hash.update(chunk);
    else this.#chunks.push(Buffer.from(chunk));
    this.#message!.bodySize += take;
    this.#left -= take;
    if (this.#left === 0 && this.#stage === "length") this.#finish();
    else if (this.#left === 0 && this.#stage === "data") this.#stage = "data-end";
    return at + take;
  }

  #takeLine(bytes: Buffer, at: number): number {
    const lf = bytes.indexOf(10, at);
    const end = lf < 0 ? bytes.length : lf + 1;
    this.#line += bytes.toString("latin1", at, end);
    if (lf < 0) return end;
    if (!this.#line.endsWith("\r\n")) throw new Error(`a line ends in a bare LF: ${JSON.stringify(this.#line)}`);
    const line = this.#line.slice(0, -2);
    this.#line = "";
    this.#onLine(line);
    return end;
  }

  #onLine(line: string): void {
    switch (this.#stage) {
      case "size":
        if (!/^[0-9a-fA-F]+$/.test(line)) throw new Error(`chunk size line ${JSON.stringify(line)}`);
        this.#left = Number.parseInt(line, 16);
        this.#stage = this.#left === 0 ? "trailers" : "data";
        return;
      case "data-end":
        if (line !== "") throw new Error(`bytes behind a chunk: ${JSON.stringify(line)}`);
        this.#stage = "size";
        return;
      case "trailers":
        if (line !== "") this.#message!.trailers.push(splitHeader(line));
        else this.#finish();
        return;
      default:
        if (line !== "") this.#lines.push(line);
        else if (this.#lines.length > 0) this.#onHead();
    }
  }

  #onHead(): void {
    const message = parseHead(this.#kind, this.#lines, this.#informational);
    this.#lines = [];
    if (this.#kind === "response" && message.status < 200 && message.status !== 101) {
      this.#informational.push(message);
      return;
    }
    this.#message = message;
    message.framing = this.#options.isHead ? "none" : framingOf(this.#kind, message);
    if (message.framing === "length") this.#left = Number(header(message, "content-length"));
    if (message.framing === "none" || (message.framing === "length" && this.#left === 0)) this.#finish();
    else this.#stage = message.framing === "length" ? "length" : message.framing === "chunked" ? "size" : "close";
  }

  #finish(): void {
    const message = this.#message!;
    message.body = Buffer.concat(this.#chunks);
    message.bodyHash = this.#hash?.digest("hex") ?? "";
    this.#chunks = [];
    this.#stage = "done";
  }
}

function parseHead(kind: "request" | "response", lines: readonly string[], informational: Message[]): Message {
  const startLine = lines[0]!;
  const response = /^HTTP\/(\d\.\d) (\d{3}) .*$/.exec(startLine);
  const request = /^(\S+) (\S+) HTTP\/(\d\.\d)$/.exec(startLine);
  const found = kind === "response" ? response : request;
  if (found === null) throw new Error(`start line of a ${kind}: ${JSON.stringify(startLine)}`);
  return {
    startLine,
    status: kind === "response" ? Number(found[2]) : 0,
    method: kind === "request" ? found[1]! : "",
    target: kind === "request" ? found[2]! : "",
    version: (kind === "request" ? found[3] : found[1])!,
    rawHead: `${lines.join("\r\n")}\r\n\r\n`,
    headers: lines.slice(1).map(splitHeader),
    framing: "none",
    body: Buffer.alloc(0),
    bodySize: 0,
    bodyHash: "",
    trailers: [],
    informational,
  };
}

function splitHeader(line: string): Header {
  const colon = line.indexOf(":");
  if (colon < 1) throw new Error(`header line ${JSON.stringify(line)}`);
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

function framingOf(kind: "request" | "response", message: Message): MessageFraming {
  const coding = header(message, "transfer-encoding");
  const length = header(message, "content-length");
  if (kind === "response" && (message.status === 101 || message.status === 204 || message.status === 304)) return "none";
  if (coding !== undefined && length !== undefined) throw new Error("both Transfer-Encoding and Content-Length");
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") throw new Error(`Transfer-Encoding: ${coding}`);
    return "chunked";
  }
  if (length !== undefined) {
    if (!/^\d+$/.test(length)) throw new Error(`Content-Length: ${length}`);
    return "length";
  }
  return kind === "request" ? "none" : "until-close";
}
