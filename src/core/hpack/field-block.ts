// A decoded header block: where each field stands in the caller's bytes. The HTTP/2 counterpart of what an HTTP/1 parser fills.
//
//   bytes from `start` on:   values of pseudo-header fields (anywhere) | name: value CRLF | name: value CRLF | ... | CRLF
//                                                                       fieldsStart                            fieldsEnd
//
// All ranges are relative to `start`, as in MessageHead, whose tables may be shared: then a block is decoded straight into a head. The
// lines are an HTTP/1 field section as they are: names in lower case, checked bytes, the final empty line behind `fieldsEnd`.

import type { Buffer } from "node:buffer";
import { Buffer as NodeBuffer } from "node:buffer";
import { FIELD_STRIDE, FIELDS_MAX } from "../http/head.ts";
import { PSEUDO_COUNT, type Pseudo } from "./hpack-codes.ts";

const EMPTY: Buffer = NodeBuffer.alloc(0);

/** The tables of a MessageHead, or any others of the same length. */
export interface FieldTables {
  readonly fields: Int32Array;
  readonly ids: Uint8Array;
}

export class FieldBlock {
  /** The caller's bytes. */
  buffer: Buffer = EMPTY;
  start = 0;
  /** The regular fields' lines: [fieldsStart, fieldsEnd), and CRLF behind them. */
  fieldsStart = 0;
  fieldsEnd = 0;

  /** Regular fields. */
  count = 0;
  /** `FIELD_STRIDE` numbers per field: name start, name end, value start, value end. */
  readonly fields: Int32Array;
  /** FieldId per field. */
  readonly ids: Uint8Array;
  /** FieldFlag bits per field. */
  readonly flags = new Uint8Array(FIELDS_MAX);
  /** Some field, pseudo-header fields included, has the flag `neverIndexed`. */
  hasNeverIndexed = false;

  /** Start and end of each pseudo-header field's value, two numbers each, by Pseudo; valid where `hasPseudo` says so. */
  readonly pseudo = new Int32Array(2 * PSEUDO_COUNT);
  /** FieldFlag bits by Pseudo. */
  readonly pseudoFlags = new Uint8Array(PSEUDO_COUNT);
  /** Bit `1 << pseudo` for each one that is there. */
  pseudoSeen = 0;

  /** Size of the list by RFC 9113 section 6.5.2: bytes of names and values, and 32 per field. Counts what was not stored, too. */
  listBytes = 0;

  constructor(tables: FieldTables | null = null) {
    this.fields = tables === null ? new Int32Array(FIELDS_MAX * FIELD_STRIDE) : tables.fields;
    this.ids = tables === null ? new Uint8Array(FIELDS_MAX) : tables.ids;
  }

  /** Is the pseudo-header field there? */
  hasPseudo(pseudo: Pseudo): boolean {
    return (this.pseudoSeen & (1 << pseudo)) !== 0;
  }

  /** Where its value begins and ends, relative to `start`. 0 and 0 unless it is there. */
  pseudoStart(pseudo: Pseudo): number {
    return this.hasPseudo(pseudo) ? this.pseudo[2 * pseudo]! : 0;
  }

  pseudoEnd(pseudo: Pseudo): number {
    return this.hasPseudo(pseudo) ? this.pseudo[2 * pseudo + 1]! : 0;
  }

  /** Forgets the block before. The tables keep their old numbers. */
  reset(buffer: Buffer, start: number): void {
    this.buffer = buffer;
    this.start = start;
    this.fieldsStart = 0;
    this.fieldsEnd = 0;
    this.count = 0;
    this.hasNeverIndexed = false;
    this.pseudoSeen = 0;
    this.listBytes = 0;
  }
}
