// HTTP/1 messages in a form that does not depend on how they were split: heads byte for byte, chunk sizes in their shortest
// form, everything else as it is. For tests: Weft writes a size line anew when it came in two pieces (`0005` becomes `5`).
//
// Slow, obvious and independent of the codec. It reads only what Weft has written, so it trusts the framing fields.

import { Buffer } from "node:buffer";

export interface WireMessage {
  /** Start line and fields, with the empty line. */
  readonly head: string;
  /** Decoded content. */
  readonly payload: Buffer;
  readonly trailers: string;
  readonly isComplete: boolean;
  /** The message in canonical form. */
  readonly canonical: string;
}

const HEAD_END = "\r\n\r\n";

/** How to tell that a message has no body whatever its fields say: `HEAD` for the answer to HEAD. */
export interface WireOptions {
  readonly kind: "request" | "response";
  readonly isHead?: boolean;
}

function hasNoBody(head: string, options: WireOptions): boolean {
  if (options.kind === "request") return false;
  const status = Number(head.slice(9, 12));
  return status < 200 || status === 204 || status === 304 || options.isHead === true;
}

/** Splits the bytes of one direction into messages; the last one may be incomplete. */
export function readWire(bytes: Buffer, options: WireOptions): WireMessage[] {
  const text = bytes.toString("latin1");
  const messages: WireMessage[] = [];
  let at = 0;
  while (at < text.length) {
    const headEnd = text.indexOf(HEAD_END, at);
    if (headEnd < 0) {
      messages.push({ head: text.slice(at), payload: Buffer.alloc(0), trailers: "", isComplete: false, canonical: text.slice(at) });
      return messages;
    }
    const head = text.slice(at, headEnd + HEAD_END.length);
    at = headEnd + HEAD_END.length;
    const length = /\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n/i.exec(head);
    const isInformational = options.kind === "response" && head[9] === "1";
    let body: { payload: string; trailers: string; canonical: string; next: number; isComplete: boolean };
    if (hasNoBody(head, options)) body = { payload: "", trailers: "", canonical: "", next: at, isComplete: true };
    else if (/\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n/i.test(head)) body = readChunks(text, at);
    else if (length !== null || options.kind === "request") body = readLength(text, at, Number(length?.[1] ?? 0));
    else body = { ...readLength(text, at, text.length - at), isComplete: true };
    at = body.next;
    messages.push({
      head,
      payload: Buffer.from(body.payload, "latin1"),
      trailers: body.trailers,
      isComplete: body.isComplete,
      canonical: head + body.canonical,
    });
    if (options.kind === "response" && !isInformational && at < text.length) {
      messages.push({ head: text.slice(at), payload: Buffer.alloc(0), trailers: "", isComplete: false, canonical: text.slice(at) });
      return messages;
    }
  }
  return messages;
}

function readLength(
  text: string,
  at: number,
  length: number,
): { payload: string; trailers: string; canonical: string; next: number; isComplete: boolean } {
  const payload = text.slice(at, at + length);
  return { payload, trailers: "", canonical: payload, next: at + payload.length, isComplete: payload.length === length };
}

function readChunks(
  text: string,
  start: number,
): { payload: string; trailers: string; canonical: string; next: number; isComplete: boolean } {
  let at = start;
  let payload = "";
  let canonical = "";
  const cut = (): { payload: string; trailers: string; canonical: string; next: number; isComplete: boolean } => ({
    payload,
    trailers: "",
    canonical: canonical + text.slice(at),
    next: text.length,
    isComplete: false,
  });
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return cut();
    const line = text.slice(at, lineEnd);
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) throw new Error(`a chunk size line that Weft may not write: ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    if (size === 0) {
      const end = text.startsWith("\r\n", lineEnd + 2) ? lineEnd + 2 : text.indexOf(HEAD_END, lineEnd + 2) + 2;
      if (end < lineEnd + 2) return cut();
      const trailers = text.slice(lineEnd + 2, end);
      return { payload, trailers, canonical: `${canonical}0\r\n${trailers}\r\n`, next: end + 2, isComplete: true };
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
