// Reads the HTTP/1 corpus (test/fixtures/h1/*.md; its README defines the format) into cases.
//
// The loader is stricter than its readers need: an unknown fence, an unknown key, a title that is there twice or a
// byte that an editor could change by accident (a trailing space, a non-ASCII character) is an error with file and
// line. A corpus that is silently half-read proves nothing.

import { Buffer } from "node:buffer";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where an error shows: before anything can have been forwarded, or when the head may have gone on already. */
export type Stage = "head" | "body";

export interface Rejection {
  readonly status: number;
  /** Codes of which the first is meant; any of them is right where two rules are broken at once. */
  readonly codes: readonly string[];
  readonly stage: Stage;
  /** `proxy`: the parser accepts it, the proxy does not serve it (CONNECT). */
  readonly by: "parser" | "proxy";
}

export type BodyKind = "none" | "length" | "chunked" | "close";
export type After = "keep-alive" | "close" | "tunnel";

/** One message that is accepted: a request, or a response (then `method` is empty and `status` is set). */
export interface ExpectedMessage {
  method: string;
  target: string;
  authority: string;
  status: number;
  version: 10 | 11;
  body: BodyKind;
  /** Declared Content-Length, -1 without one. */
  length: number;
  /** Decoded content. */
  payload: Buffer;
  /** Trailer lines as they are forwarded, each with its CRLF. */
  trailers: Buffer;
  after: After;
  expectsContinue: boolean;
}

export interface CorpusCase {
  readonly file: string;
  readonly line: number;
  readonly title: string;
  readonly kind: "request" | "response";
  /** Bytes of the client. */
  readonly request: Buffer;
  /** Bytes of the origin; response cases only. */
  readonly response: Buffer | null;
  /** What the origin must see, all accepted requests in order. */
  readonly forward: Buffer;
  /** What the client must see; response cases only. */
  readonly client: Buffer;
  /** Accepted messages in order. Responses: informational ones first. */
  readonly messages: readonly ExpectedMessage[];
  readonly reject: Rejection | null;
  /** The input ends inside a message: in its head or in its body. */
  readonly incomplete: Stage | null;
  /** The first bytes do not look like HTTP/1: on a port with `protocol: detect` they pass as they are. */
  readonly isOpaque: boolean;
  readonly limits: { readonly headerBytesMax?: number; readonly headerCountMax?: number };
  /** Response cases: the origin closes after its bytes. */
  readonly originCloses: boolean;
  /** Response cases: bytes after the response that belong to no message (the connection must not be reused). */
  readonly surplus: boolean;
}

const ROOT = fileURLToPath(new URL("../fixtures/h1/", import.meta.url));
const FENCES = new Set(["request", "response", "forward", "client", "expect"]);
const REPEAT_MAX = 1 << 20;

export class CorpusError extends Error {}

function fail(file: string, line: number, what: string): never {
  throw new CorpusError(`${file}:${line}: ${what}`);
}

/** Turns the visible escapes into bytes: `\r \n \t \\ \xNN`, and `\(text*N)` for N repetitions of text. */
export function parseEscapes(text: string): Buffer {
  const out: Buffer[] = [];
  let plain = "";
  const flush = (): void => {
    if (plain !== "") out.push(Buffer.from(plain, "latin1"));
    plain = "";
  };
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (char !== "\\") {
      if (char.charCodeAt(0) > 0x7e) throw new CorpusError(`write ${JSON.stringify(char)} as \\xNN`);
      plain += char;
      continue;
    }
    const kind = text[++i];
    if (kind === "r") plain += "\r";
    else if (kind === "n") plain += "\n";
    else if (kind === "t") plain += "\t";
    else if (kind === "\\") plain += "\\";
    else if (kind === "x") {
      const hex = text.slice(i + 1, i + 3);
      if (!/^[0-9a-fA-F]{2}$/.test(hex)) throw new CorpusError(`\\x needs two hexadecimal digits, not ${JSON.stringify(hex)}`);
      plain += String.fromCharCode(Number.parseInt(hex, 16));
      i += 2;
    } else if (kind === "(") {
      const match = /^(.*?)\*(\d+)\)/s.exec(text.slice(i + 1));
      if (match === null) throw new CorpusError("\\( needs text*N)");
      const times = Number(match[2]);
      const piece = parseEscapes(match[1]!);
      if (piece.length * times > REPEAT_MAX) throw new CorpusError("a repetition is larger than 1 MiB");
      flush();
      out.push(Buffer.concat(Array.from({ length: times }, () => piece)));
      i += match[0].length;
    } else throw new CorpusError(`unknown escape \\${kind ?? ""}`);
  }
  flush();
  return Buffer.concat(out);
}

/** The inverse, for messages and for adding cases: every byte visible, one line per CRLF or LF. */
export function escapeBytes(bytes: Buffer): string {
  let text = "";
  for (const byte of bytes) {
    if (byte === 0x0d) text += "\\r";
    else if (byte === 0x0a) text += "\\n\n";
    else if (byte === 0x09) text += "\\t";
    else if (byte === 0x5c) text += "\\\\";
    else if (byte < 0x20 || byte > 0x7e) text += `\\x${byte.toString(16).padStart(2, "0")}`;
    else text += String.fromCharCode(byte);
  }
  return text;
}

interface Block {
  readonly tag: string;
  readonly line: number;
  readonly lines: string[];
}

interface Section {
  readonly title: string;
  readonly line: number;
  readonly blocks: Block[];
}

function sectionsOf(file: string, text: string): Section[] {
  const sections: Section[] = [];
  let block: Block | null = null;
  text.split("\n").forEach((line, index) => {
    const at = index + 1;
    if (block !== null) {
      if (line === "```") block = null;
      else if (line.endsWith(" ")) fail(file, at, "a trailing space is invisible: write \\x20");
      else block.lines.push(line);
      return;
    }
    if (line.startsWith("## ")) {
      sections.push({ title: line.slice(3), line: at, blocks: [] });
    } else if (line.startsWith("```")) {
      const tag = line.slice(3);
      const section = sections.at(-1);
      if (!FENCES.has(tag)) fail(file, at, `unknown fence '${tag}', one of ${[...FENCES].join(", ")}`);
      if (section === undefined) fail(file, at, "a fence before the first case");
      if (section.blocks.some((other) => other.tag === tag)) fail(file, at, `a second '${tag}' block`);
      block = { tag, line: at, lines: [] };
      section.blocks.push(block);
    }
  });
  if (block !== null) fail(file, (block as Block).line, "this fence is not closed");
  return sections;
}

function bytesOf(file: string, block: Block): Buffer {
  return Buffer.concat(
    block.lines.map((line, index) => {
      try {
        return parseEscapes(line);
      } catch (error) {
        return fail(file, block.line + 1 + index, (error as Error).message);
      }
    }),
  );
}

const EMPTY = Buffer.alloc(0);

function newMessage(): ExpectedMessage {
  return {
    method: "",
    target: "",
    authority: "",
    status: 0,
    version: 11,
    body: "none",
    length: -1,
    payload: EMPTY,
    trailers: EMPTY,
    after: "keep-alive",
    expectsContinue: false,
  };
}

function rejectionOf(words: string[]): Rejection {
  const [status, codes, ...rest] = words;
  const tail = rest.join(" ");
  if (!/^[1-5]\d\d$/.test(status ?? "") || codes === undefined) throw new CorpusError("reject STATUS CODE[|CODE] [in body | by proxy]");
  if (tail !== "" && tail !== "in body" && tail !== "by proxy") throw new CorpusError(`reject ends in '${tail}'`);
  return {
    status: Number(status),
    codes: codes.split("|"),
    stage: tail === "in body" ? "body" : "head",
    by: tail === "by proxy" ? "proxy" : "parser",
  };
}

interface Expectation {
  messages: ExpectedMessage[];
  reject: Rejection | null;
  incomplete: Stage | null;
  isOpaque: boolean;
  limits: { headerBytesMax?: number; headerCountMax?: number };
  originCloses: boolean;
  surplus: boolean;
}

/** Keys that describe the message named by the `accept`, `answer` or `informational` line above them. */
function readMessageKey(message: ExpectedMessage, key: string, value: string): void {
  const words = value.split(" ");
  switch (key) {
    case "version":
      if (value !== "1.0" && value !== "1.1") throw new CorpusError("version is 1.0 or 1.1");
      message.version = value === "1.0" ? 10 : 11;
      return;
    case "body":
      if (!["none", "length", "chunked", "close"].includes(words[0]!)) throw new CorpusError("body is none, length N, chunked or close");
      message.body = words[0] as BodyKind;
      if (message.body === "length") message.length = Number(words[1]);
      if (Number.isNaN(message.length)) throw new CorpusError("body length N");
      return;
    case "payload":
      message.payload = parseEscapes(value);
      return;
    case "trailers":
      message.trailers = parseEscapes(value);
      return;
    case "after":
      if (!["keep-alive", "close", "tunnel"].includes(value)) throw new CorpusError("after is keep-alive, close or tunnel");
      message.after = value as After;
      return;
    case "expects":
      if (value !== "continue") throw new CorpusError("expects continue");
      message.expectsContinue = true;
      return;
    default:
      throw new CorpusError(`unknown key '${key}'`);
  }
}

function readKey(into: Expectation, key: string, value: string): void {
  const words = value.split(" ");
  switch (key) {
    case "accept": {
      if (words.length !== 3) throw new CorpusError("accept METHOD TARGET AUTHORITY, '-' for no authority");
      const [method, target, authority] = words.map((word) => parseEscapes(word).toString("latin1"));
      into.messages.push({ ...newMessage(), method: method!, target: target!, authority: authority === "-" ? "" : authority! });
      return;
    }
    case "answer":
    case "informational":
      if (!/^\d{3}$/.test(value)) throw new CorpusError(`${key} STATUS`);
      into.messages.push({ ...newMessage(), status: Number(value) });
      return;
    case "reject":
      into.reject = rejectionOf(words);
      return;
    case "incomplete":
      if (value !== "head" && value !== "body") throw new CorpusError("incomplete head or body");
      into.incomplete = value;
      return;
    case "detect":
      if (value !== "opaque") throw new CorpusError("detect opaque");
      into.isOpaque = true;
      return;
    case "limit": {
      const [name, number] = words;
      if ((name !== "headerBytesMax" && name !== "headerCountMax") || !/^\d+$/.test(number ?? ""))
        throw new CorpusError("limit headerBytesMax|headerCountMax N");
      into.limits[name] = Number(number);
      return;
    }
    case "origin":
      if (value !== "closes" && value !== "surplus") throw new CorpusError("origin closes, or origin surplus");
      if (value === "closes") into.originCloses = true;
      else into.surplus = true;
      return;
    default: {
      const message = into.messages.at(-1);
      if (message === undefined) throw new CorpusError(`'${key}' before any accept or answer`);
      readMessageKey(message, key, value);
    }
  }
}

function expectationOf(file: string, block: Block): Expectation {
  const into: Expectation = {
    messages: [],
    reject: null,
    incomplete: null,
    isOpaque: false,
    limits: {},
    originCloses: false,
    surplus: false,
  };
  block.lines.forEach((raw, index) => {
    const line = raw.trim();
    if (line === "") return;
    const space = line.indexOf(" ");
    const key = space < 0 ? line : line.slice(0, space);
    try {
      readKey(into, key, space < 0 ? "" : line.slice(space + 1));
    } catch (error) {
      fail(file, block.line + 1 + index, (error as Error).message);
    }
  });
  return into;
}

const DEFAULT_REQUEST = Buffer.from("GET / HTTP/1.1\r\nHost: web\r\n\r\n");

function caseOf(file: string, section: Section): CorpusCase {
  const { title, line, blocks } = section;
  const block = (tag: string): Block | null => blocks.find((other) => other.tag === tag) ?? null;
  const bytes = (tag: string): Buffer | null => {
    const found = block(tag);
    return found === null ? null : bytesOf(file, found);
  };
  if (!/ \([^()]+\)$/.test(title)) fail(file, line, "the title ends with its source in parentheses: (RFC 9112 6.1)");
  const expect = block("expect");
  if (expect === null) fail(file, line, "no expect block");
  const expectation = expectationOf(file, expect);
  const response = bytes("response");
  const kind = response === null ? "request" : "response";
  const request = bytes("request") ?? (kind === "response" ? DEFAULT_REQUEST : fail(file, line, "no request block"));
  const { messages, reject, incomplete } = expectation;
  if (messages.length === 0 && reject === null && incomplete === null) fail(file, line, "nothing is expected");
  if (reject !== null && incomplete !== null) fail(file, line, "rejected and incomplete");
  for (const message of messages) {
    if ((message.status !== 0) !== (kind === "response"))
      fail(file, line, "accept is for requests, answer and informational for responses");
  }
  const partly = reject !== null || incomplete !== null;
  const forward = bytes("forward");
  const client = bytes("client");
  if (kind === "request" && partly && messages.length > 0 && forward === null)
    fail(file, line, "say in a forward block what goes on of a partly accepted input");
  return {
    file,
    line,
    title,
    kind,
    request,
    response,
    forward: forward ?? (partly && kind === "request" ? EMPTY : request),
    client: client ?? (reject === null && incomplete !== "head" ? (response ?? EMPTY) : EMPTY),
    messages,
    reject,
    incomplete,
    isOpaque: expectation.isOpaque,
    limits: expectation.limits,
    originCloses: expectation.originCloses,
    surplus: expectation.surplus,
  };
}

/** Cases of one file's text. */
export function parseCorpus(file: string, text: string): CorpusCase[] {
  return sectionsOf(file, text).map((section) => caseOf(file, section));
}

/** All cases, in file order. Titles are unique, so that a failing one is found at once. */
export function loadCorpus(root: string = ROOT): CorpusCase[] {
  const files = readdirSync(root)
    .filter((name) => name.endsWith(".md") && name !== "README.md")
    .sort();
  const cases = files.flatMap((name) => parseCorpus(name, readFileSync(join(root, name), "utf8")));
  const seen = new Map<string, CorpusCase>();
  for (const one of cases) {
    const other = seen.get(one.title);
    if (other !== undefined) fail(one.file, one.line, `the same title as ${other.file}:${other.line}`);
    seen.set(one.title, one);
  }
  return cases;
}
