// Finds names and whole fields in the static table: for encoders.

import { lowerByte } from "../bytes/ascii.ts";
import { FieldId } from "../http/head.ts";
import { hashName } from "./sample-hash.ts";
import {
  ROW_NAME_SIZE,
  ROW_STRIDE,
  ROW_TAG,
  ROW_VALUE_SIZE,
  STATIC_COUNT,
  STATIC_LINES,
  STATIC_ROWS,
  TAG_ID_MASK,
} from "./static-table.ts";

/** Eight times the names, so that most slots are empty and a name that is not there is found out at once. */
const SLOTS = 512;

/** Open addressing: the first index of each name. */
const FIRST_BY_NAME = new Uint8Array(SLOTS);
/** The first index of the name of a FieldId, 0 if the static table does not have it. */
const BY_ID = new Uint8Array(256);

for (let index = STATIC_COUNT; index >= 1; index--) {
  const row = index * ROW_STRIDE;
  const start = STATIC_ROWS[row]!;
  const end = start + STATIC_ROWS[row + ROW_NAME_SIZE]!;
  const id = STATIC_ROWS[row + ROW_TAG]! & TAG_ID_MASK;
  if (id !== FieldId.other) BY_ID[id] = index;
  let slot = hashName(STATIC_LINES, start, end) & (SLOTS - 1);
  // A name's entries follow each other: the lower index takes the slot over.
  while (FIRST_BY_NAME[slot] !== 0 && !isName(FIRST_BY_NAME[slot]!, STATIC_LINES, start, end)) slot = (slot + 1) & (SLOTS - 1);
  FIRST_BY_NAME[slot] = index;
}

/** The lowest index with this name (any case), 0 without one. `hash`: its `hashName`; `id`: its FieldId, or `other` if unknown. */
export function staticName(buf: Uint8Array, start: number, end: number, hash: number, id: number): number {
  if (id !== FieldId.other && BY_ID[id] !== 0) return BY_ID[id]!;
  for (let slot = hash & (SLOTS - 1); ; slot = (slot + 1) & (SLOTS - 1)) {
    const index = FIRST_BY_NAME[slot]!;
    if (index === 0 || isName(index, buf, start, end)) return index;
  }
}

/** The index of the whole field, whose name has `first` as its lowest index; 0 without one. */
export function staticField(first: number, buf: Uint8Array, start: number, end: number): number {
  for (let index = first; index <= STATIC_COUNT; index++) {
    const row = index * ROW_STRIDE;
    const size = STATIC_ROWS[row + ROW_VALUE_SIZE]!;
    // Entries with a value are rare: most names end here.
    if (size === 0) return 0;
    const nameAt = STATIC_ROWS[row]!;
    const nameSize = STATIC_ROWS[row + ROW_NAME_SIZE]!;
    if (index !== first && !isName(first, STATIC_LINES, nameAt, nameAt + nameSize)) return 0;
    if (size !== end - start) continue;
    const value = nameAt + nameSize + 2;
    let same = 0;
    while (same < size && buf[start + same] === STATIC_LINES[value + same]) same++;
    if (same === size) return index;
  }
  return 0;
}

function isName(index: number, buf: Uint8Array, start: number, end: number): boolean {
  const row = index * ROW_STRIDE;
  const size = STATIC_ROWS[row + ROW_NAME_SIZE]!;
  if (end - start !== size) return false;
  const name = STATIC_ROWS[row]!;
  for (let i = 0; i < size; i++) {
    if (lowerByte(buf[start + i]!) !== STATIC_LINES[name + i]) return false;
  }
  return true;
}
