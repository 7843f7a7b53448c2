// The codec as tests see it: lists of fields in, bytes out, and back.

import { Buffer } from "node:buffer";
import { fieldId } from "../../../src/core/h1/field-names.ts";
import { DECODER_SLACK, type HpackDecoder } from "../../../src/core/hpack/decoder.ts";
import { BLOCK_ROOM, FIELD_ROOM, type HpackEncoder } from "../../../src/core/hpack/encoder.ts";
import { FieldBlock } from "../../../src/core/hpack/field-block.ts";
import { FieldFlag, type HpackCode, Pseudo } from "../../../src/core/hpack/hpack-codes.ts";
import { FIELD_STRIDE } from "../../../src/core/http/head.ts";

export interface Field {
  readonly name: string;
  readonly value: string;
  readonly never?: boolean;
}

export const LIMITS = { listBytesMax: 64 * 1024, fieldsMax: 200 };

export const PSEUDO_NAMES: readonly (readonly [string, Pseudo])[] = [
  [":method", Pseudo.method],
  [":scheme", Pseudo.scheme],
  [":authority", Pseudo.authority],
  [":path", Pseudo.path],
  [":status", Pseudo.status],
  [":protocol", Pseudo.protocol],
];

export interface Decoded {
  readonly code: HpackCode;
  /** Pseudo-header fields in the order of `PSEUDO_NAMES`, then the regular ones. */
  readonly fields: Field[];
  /** The lines as they would go to an HTTP/1 peer. */
  readonly lines: string;
  readonly block: FieldBlock;
}

/** Decodes in the middle of larger buffers, so that a range that is left shows. */
export function decode(decoder: HpackDecoder, bytes: Buffer, limits = LIMITS, at = 7): Decoded {
  const padded = Buffer.concat([Buffer.from([0x82, 0xff, 0x00]), bytes, Buffer.from([0x82, 0xff, 0x80])]);
  const out = Buffer.alloc(at + limits.listBytesMax + DECODER_SLACK, 0x2e);
  const block = new FieldBlock();
  const code = decoder.decode(padded, 3, 3 + bytes.length, block, out, at);
  return { code, fields: code < 0 ? [] : fieldsOf(block), lines: textOf(block, block.fieldsStart, block.fieldsEnd), block };
}

function textOf(block: FieldBlock, from: number, to: number): string {
  return block.buffer.toString("latin1", block.start + from, block.start + to);
}

/** The fields of a block, as they stand in its ranges. */
export function fieldsOf(block: FieldBlock): Field[] {
  const fields: Field[] = [];
  const add = (name: string, value: string, flags: number): void => {
    fields.push((flags & FieldFlag.neverIndexed) === 0 ? { name, value } : { name, value, never: true });
  };
  for (const [name, pseudo] of PSEUDO_NAMES) {
    if (!block.hasPseudo(pseudo)) continue;
    add(name, textOf(block, block.pseudoStart(pseudo), block.pseudoEnd(pseudo)), block.pseudoFlags[pseudo]!);
  }
  for (let i = 0; i < block.count; i++) {
    const row = i * FIELD_STRIDE;
    const { fields: ranges } = block;
    add(textOf(block, ranges[row]!, ranges[row + 1]!), textOf(block, ranges[row + 2]!, ranges[row + 3]!), block.flags[i]!);
  }
  return fields;
}

/** A decoder's dynamic table, newest entry first, as `name: value`. */
export function tableOf(decoder: HpackDecoder): string[] {
  return Array.from({ length: decoder.tableCount }, (_, age) => decoder.entryText(age));
}

/** Encodes one block; never writes more than the room that it promises to need. */
export function encode(encoder: HpackEncoder, fields: readonly Field[], at = 5): Buffer {
  let room = BLOCK_ROOM;
  for (const { name, value } of fields) room += FIELD_ROOM + name.length + value.length;
  const out = Buffer.alloc(at + room);
  let p = encoder.begin(out, at);
  for (const field of fields) {
    const before = p;
    p = encodeField(encoder, out, p, field);
    if (p - before > FIELD_ROOM + field.name.length + field.value.length) throw new Error(`${field.name} took ${p - before} bytes`);
  }
  return out.subarray(at, p);
}

function encodeField(encoder: HpackEncoder, out: Buffer, at: number, field: Field): number {
  const flags = field.never === true ? FieldFlag.neverIndexed : 0;
  const pseudo = PSEUDO_NAMES.find(([name]) => name === field.name);
  if (pseudo !== undefined) {
    if (pseudo[1] === Pseudo.status && flags === 0 && /^[1-9]\d\d$/.test(field.value)) return encoder.status(out, at, Number(field.value));
    const value = Buffer.from(`<${field.value}>`, "latin1");
    return encoder.pseudo(out, at, pseudo[1], value, 1, value.length - 1, flags);
  }
  const src = Buffer.from(`<${field.name}: ${field.value}>`, "latin1");
  const nameEnd = 1 + field.name.length;
  return encoder.field(out, at, src, 1, nameEnd, nameEnd + 2, src.length - 1, fieldId(src, 1, nameEnd), flags);
}

export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s+/g, ""), "hex");
}

/** `name: value` lines to fields. */
export function listed(...lines: string[]): Field[] {
  return lines.map((line) => {
    const colon = line.indexOf(": ", 1);
    return { name: line.slice(0, colon), value: line.slice(colon + 2) };
  });
}
