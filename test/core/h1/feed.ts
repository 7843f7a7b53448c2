// Ways to feed bytes to the codec, shared by its tests: whole, in pieces, in a buffer full of poison that moves every time.

import { Buffer } from "node:buffer";
import { errorCode } from "../../../src/core/errors/error-codes.ts";
import { ChunkEvent, ChunkScanner } from "../../../src/core/h1/chunked.ts";
import { RequestHeadParser, ResponseHeadParser } from "../../../src/core/h1/head-parser.ts";
import { FIELD_STRIDE, MessageHead } from "../../../src/core/http/head.ts";

export const LIMITS = { headerBytesMax: 32 * 1024, headerCountMax: 100 };

export interface HeadParser {
  reset(): void;
  parse(buf: Buffer, start: number, end: number, head: MessageHead): number;
}

export type Kind = "request" | "response";

export function parserOf(kind: Kind, limits = LIMITS): HeadParser {
  return kind === "request" ? new RequestHeadParser(limits) : new ResponseHeadParser(limits);
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** Bytes that must never be read stand around the message: a line end, an end of head, a second message. */
const POISON = bytesOf("\r\n\r\nGET /poison HTTP/1.1\r\nHost: poison\r\n\r\n0\r\n\r\n");

/** A copy of `bytes` with poison before and behind; the message begins at `POISON.length + shift`. */
export function poisoned(bytes: Buffer, shift = 0): { buffer: Buffer; start: number } {
  const gap = POISON.subarray(0, shift);
  return { buffer: Buffer.concat([POISON, gap, bytes, POISON]), start: POISON.length + gap.length };
}

/** Everything that a parse has to say, as one comparable value. */
export interface Outcome {
  readonly result: string;
  readonly head: Record<string, unknown> | null;
}

export function outcomeOf(result: number, head: MessageHead): Outcome {
  if (result <= 0) return { result: result === 0 ? "incomplete" : errorCode(-result), head: null };
  const fields: unknown[] = [];
  for (let i = 0; i < head.count; i++) {
    const at = i * FIELD_STRIDE;
    const name = head.text(head.fields[at]!, head.fields[at + 1]!);
    const value = head.text(head.fields[at + 2]!, head.fields[at + 3]!);
    fields.push([name, value, head.ids[i], head.named[i]]);
  }
  const { buffer, start, fields: _table, ids: _ids, named: _named, ...rest } = head;
  return { result: String(result), head: { ...rest, fields } };
}

/** Parses the bytes as one piece, amid poison. */
export function parseWhole(kind: Kind, bytes: Buffer, limits = LIMITS): Outcome {
  return parseSplit(kind, bytes, [], limits);
}

/**
 * Parses with the given end offsets, in order, as reads would deliver them: all bytes so far, each time in another buffer at
 * another place. Stops at the first answer.
 */
export function parseSplit(kind: Kind, bytes: Buffer, ends: readonly number[], limits = LIMITS): Outcome {
  const parser = parserOf(kind, limits);
  const head = new MessageHead();
  let shift = 0;
  for (const end of [...ends, bytes.length]) {
    const { buffer, start } = poisoned(bytes.subarray(0, end), shift++ % 5);
    const result = parser.parse(buffer, start, start + end, head);
    if (result !== 0) return outcomeOf(result, head);
  }
  return outcomeOf(0, head);
}

/** Parses byte by byte. */
export function parseBytewise(kind: Kind, bytes: Buffer, limits = LIMITS): Outcome {
  return parseSplit(
    kind,
    bytes,
    Array.from({ length: bytes.length }, (_, i) => i),
    limits,
  );
}

/** What a chunked body came to. */
export interface BodyOutcome {
  /** "end", "more" or an error code. */
  readonly result: string;
  readonly body: string;
  /** Wire mode: what would be forwarded, last chunk not included. */
  readonly wire: string;
  readonly trailers: string | null;
  /** Bytes up to the end of the message. */
  readonly consumed: number;
  readonly events: readonly ChunkEvent[];
}

/** Scans a body in pieces that end at the given offsets. */
export function scanBody(bytes: Buffer, wantsWire: boolean, ends: readonly number[] = [], limits = LIMITS): BodyOutcome {
  const scanner = new ChunkScanner(limits);
  scanner.reset(wantsWire);
  const events: ChunkEvent[] = [];
  let body = "";
  let wire = "";
  let from = 0;
  let result = "more";
  let trailers: string | null = null;
  for (const end of [...ends, bytes.length]) {
    const { buffer, start } = poisoned(bytes.subarray(from, end));
    let pos = start;
    const stop = start + (end - from);
    for (;;) {
      const event = scanner.next(buffer, pos, stop);
      events.push(event);
      if (event === ChunkEvent.error) return { result: errorCode(scanner.error), body, wire, trailers, consumed: from, events };
      if (scanner.pos < pos || scanner.pos > stop) throw new Error("the scanner left its range");
      const isRange = event === ChunkEvent.data || event === ChunkEvent.wire;
      if (isRange && (scanner.from < pos || scanner.from >= scanner.to || scanner.to > scanner.pos))
        throw new Error("a range lies outside");
      pos = scanner.pos;
      if (event === ChunkEvent.data) body += buffer.toString("latin1", scanner.from, scanner.to);
      else if (event === ChunkEvent.wire) wire += buffer.toString("latin1", scanner.from, scanner.to);
      else if (event === ChunkEvent.sizeLine) wire += `${scanner.size.toString(16)}\r\n`;
      else if (event === ChunkEvent.end) {
        const t = scanner.trailers;
        trailers = t === null ? null : t.buffer.toString("latin1", t.start, t.end);
        return { result: "end", body, wire, trailers, consumed: from + (pos - start), events };
      } else break;
    }
    if (pos !== stop) throw new Error("`more` before everything was consumed");
    from = end;
    result = "more";
  }
  return { result, body, wire, trailers, consumed: from, events };
}
