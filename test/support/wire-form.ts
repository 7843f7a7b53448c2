// HTTP/1 messages in a form that does not depend on how they were split: heads byte for byte, chunk sizes in their shortest
// form, everything else as it is. For tests: Weft writes a size line anew when it came in two pieces (`0005` becomes `5`).
//
// Slow, obvious and independent of the codec. It reads only what Weft has written, so it trusts the framing fields.

import { Buffer } from "node:buffer";

export interface WireMessage {
  /** Start line and fields, with the empty line. */
  readonly head: string;
  /** Responses: the status code; requests: 0. */
  readonly status: number;
  /** Decoded content. */
  readonly payload: Buffer;
  readonly isComplete: boolean;
  /** The message in canonical form. */
  readonly canonical: string;
}

export interface WireOptions {
  readonly kind: "request" | "response";
  /** Responses: which of them, counted without informational ones, answer HEAD. */
  readonly isHead?: (index: number) => boolean;
  /** Chunk sizes say nothing: a body that Weft has chunked itself, as its parts came. */
  readonly mergesChunks?: boolean;
}

interface Body {
  readonly payload: string;
  readonly canonical: string;
  /** Position behind it. */
  readonly next: number;
  readonly isComplete: boolean;
}

const HEAD_END = "\r\n\r\n";

/** Splits the bytes of one direction into messages; the last one may be incomplete. */
export function readWire(bytes: Buffer, options: WireOptions): WireMessage[] {
  const text = bytes.toString("latin1");
  const messages: WireMessage[] = [];
  let finals = 0;
  let at = 0;
  while (at < text.length) {
    const headEnd = text.indexOf(HEAD_END, at);
    const head = headEnd < 0 ? text.slice(at) : text.slice(at, headEnd + HEAD_END.length);
    const status = options.kind === "response" ? Number(head.slice(9, 12)) : 0;
    at += head.length;
    const body =
      headEnd < 0 ? { payload: "", canonical: "", next: at, isComplete: false } : readBody(text, at, head, status, options, finals);
    at = body.next;
    if (status >= 200) finals++;
    messages.push({
      head,
      status,
      payload: Buffer.from(body.payload, "latin1"),
      isComplete: body.isComplete,
      canonical: head + (options.mergesChunks === true ? merged(body) : body.canonical),
    });
  }
  return messages;
}

function merged(body: Body): string {
  return body.payload + (body.isComplete ? "[complete]" : "");
}

function readBody(text: string, at: number, head: string, status: number, options: WireOptions, finals: number): Body {
  if (options.kind === "response" && (status < 200 || status === 204 || status === 304 || options.isHead?.(finals) === true)) {
    return { payload: "", canonical: "", next: at, isComplete: true };
  }
  if (/\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n/i.test(head)) return readChunks(text, at);
  const length = /\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n/i.exec(head);
  if (length !== null) return readLength(text, at, Number(length[1]));
  return readLength(text, at, options.kind === "request" ? 0 : text.length - at);
}

function readLength(text: string, at: number, length: number): Body {
  const payload = text.slice(at, at + length);
  return { payload, canonical: payload, next: at + payload.length, isComplete: payload.length === length };
}

function readChunks(text: string, start: number): Body {
  let at = start;
  let payload = "";
  let canonical = "";
  const cut = (): Body => ({ payload, canonical: canonical + text.slice(at), next: text.length, isComplete: false });
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return cut();
    const line = text.slice(at, lineEnd);
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) throw new Error(`a chunk size line that Weft may not write: ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    if (size === 0) {
      const end = text.startsWith("\r\n", lineEnd + 2) ? lineEnd + 2 : text.indexOf(HEAD_END, lineEnd + 2) + 2;
      if (end < lineEnd + 2) return cut();
      return { payload, canonical: `${canonical}0${text.slice(lineEnd, end)}\r\n`, next: end + 2, isComplete: true };
    }
    canonical += `${size.toString(16)}\r\n`;
    at = lineEnd + 2;
    const data = text.slice(at, at + size);
    payload += data;
    if (text.length < at + size + 2) return cut();
    if (text.slice(at + size, at + size + 2) !== "\r\n") throw new Error("chunk data that is not followed by CRLF");
    canonical += `${data}\r\n`;
    at += size + 2;
  }
}

/** All messages in canonical form, one behind the other. */
export function canonicalWire(bytes: Buffer, options: WireOptions): string {
  return readWire(bytes, options)
    .map((message) => message.canonical)
    .join("");
}
