// Heads for the tests of this folder: fields to a head by the engine's own way, and a head as plain facts.

import { Buffer } from "node:buffer";
import type { MessageHead } from "../../../src/core/http/head.ts";
import { FIELD_STRIDE } from "../../../src/core/http/head.ts";
import { messageCode, WELL_FORMED } from "../../../src/core/h2/field-rules.ts";
import { DEFAULT_H2_LIMITS } from "../../../src/core/h2/limits.ts";
import { readRequestHead } from "../../../src/core/h2/request-head.ts";
import { readResponseHead } from "../../../src/core/h2/response-head.ts";
import { FRONT_ROOM, H2Scratch } from "../../../src/core/h2/scratch.ts";
import { HpackDecoder } from "../../../src/core/hpack/decoder.ts";
import { type Fields, literal } from "../../support/h2-hpack.ts";

export const scratch = new H2Scratch(DEFAULT_H2_LIMITS);

export interface ReadOptions {
  readonly isEnd?: boolean;
  readonly takesExtendedConnect?: boolean;
  readonly isHeadRequest?: boolean;
  readonly isMesh?: boolean;
  readonly isUpgrade?: boolean;
  /** Names that are sent as never-indexed literals. */
  readonly neverIndexed?: readonly string[];
}

function decode(fields: Fields, options: ReadOptions): number {
  const block = Buffer.concat(
    fields.map(([name, value]) => literal(options.neverIndexed?.includes(name) ? "never indexed" : "without indexing", name, value)),
  );
  // Nothing of the head before may show.
  scratch.lines.fill("#");
  scratch.front.fill("#");
  const decoder = new HpackDecoder({ listBytesMax: DEFAULT_H2_LIMITS.headerBytesMax, fieldsMax: 100 });
  return messageCode(decoder.decode(block, 0, block.length, scratch.block, scratch.lines, FRONT_ROOM));
}

/** 0, MALFORMED or minus an error id; the head is in `scratch.head`. */
export function readRequest(fields: Fields, options: ReadOptions = {}): number {
  const code = decode(fields, options);
  if (code !== WELL_FORMED) return code;
  return readRequestHead(scratch, options.isEnd ?? true, options.takesExtendedConnect ?? false, options.isMesh ?? false);
}

export function readResponse(fields: Fields, options: ReadOptions = {}): number {
  const code = decode(fields, options);
  if (code !== WELL_FORMED) return code;
  const { isEnd = false, isHeadRequest = false, isMesh = false, isUpgrade = false } = options;
  return readResponseHead(scratch, isEnd, isHeadRequest, isMesh, isUpgrade);
}

/** What a head says, without where it lies. */
export function facts(head: MessageHead): object {
  return {
    text: head.buffer.toString("latin1", head.start, head.start + head.size),
    method: [head.methodEnd, head.method],
    target: [head.targetStart, head.targetEnd],
    authority: [head.authorityStart, head.authorityEnd, head.hasHost, head.hostIndex],
    status: head.status,
    fieldsStart: head.fieldsStart,
    fields: [...head.fields.subarray(0, head.count * FIELD_STRIDE)],
    ids: [...head.ids.subarray(0, head.count)],
    named: [...head.named.subarray(0, head.count)],
    hasEdits: head.hasEdits,
    originalVersion: head.originalVersion,
    contentLength: head.contentLength,
    expectsContinue: head.expectsContinue,
  };
}
