// Joins the Cookie fields of a request into one (RFC 9113 section 8.2.3): HTTP/1 and what reads it know one Cookie field only.
//
// The lines are put together anew in other memory, in their order; the crumbs, with `; ` between, stand where the first of them
// stood. Each crumb loses its name and its line end, so the result is never longer.

import type { Buffer } from "node:buffer";
import { asciiBytes, copyBytes, copyRange, CR, LF } from "../bytes/ascii.ts";
import type { FieldBlock } from "../hpack/field-block.ts";
import { FIELD_STRIDE } from "../http/head.ts";
import { isCookie } from "./field-rules.ts";

const SEPARATOR = asciiBytes("; ");

/** Rewrites the block's lines and rows into `out` at the same offsets from its start. `out` is as large as the block's own buffer. */
export function joinCookies(block: FieldBlock, out: Buffer): void {
  const { buffer, start, fields, ids, flags, count } = block;
  let p = copyRange(buffer, start, start + block.fieldsStart, out, start);
  let kept = 0;
  let hasCookie = false;
  for (let i = 0; i < count; i++) {
    const row = i * FIELD_STRIDE;
    const nameStart = fields[row]!;
    const nameEnd = fields[row + 1]!;
    const valueStart = fields[row + 2]!;
    const valueEnd = fields[row + 3]!;
    const isCrumb = isCookie(buffer, start + nameStart, start + nameEnd);
    if (isCrumb && hasCookie) continue;
    const moved = p - start - nameStart;
    const target = kept * FIELD_STRIDE;
    fields[target] = nameStart + moved;
    fields[target + 1] = nameEnd + moved;
    fields[target + 2] = valueStart + moved;
    ids[kept] = ids[i]!;
    flags[kept] = flags[i]!;
    p = copyRange(buffer, start + nameStart, start + valueEnd, out, p);
    if (isCrumb) {
      hasCookie = true;
      p = appendCrumbs(block, i + 1, kept, out, p);
    }
    fields[target + 3] = p - start;
    out[p] = CR;
    out[p + 1] = LF;
    p += 2;
    kept++;
  }
  out[p] = CR;
  out[p + 1] = LF;
  block.buffer = out;
  block.fieldsEnd = p - start;
  block.count = kept;
}

/** The values of the crumbs from row `from` on, behind the first; row `kept` gets their flags, too. */
function appendCrumbs(block: FieldBlock, from: number, kept: number, out: Buffer, at: number): number {
  const { buffer, start, fields, flags, count } = block;
  let p = at;
  for (let i = from; i < count; i++) {
    const row = i * FIELD_STRIDE;
    if (!isCookie(buffer, start + fields[row]!, start + fields[row + 1]!)) continue;
    p = copyBytes(SEPARATOR, out, p);
    p = copyRange(buffer, start + fields[row + 2]!, start + fields[row + 3]!, out, p);
    flags[kept] = flags[kept]! | flags[i]!;
  }
  return p;
}
