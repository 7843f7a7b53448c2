// Which fields enter an encoder's dynamic table, by name (RFC 7541 sections 6.2 and 7.1).
//
// An entry costs both sides about ten times what it saves each time it is used (native-notes/hpack.md), and pushes out an older one. So a
// field enters when it is seen a second time, whatever its name; never what rarely comes again soon, and what must not be guessed.

import { STATIC_COUNT, STATIC_LINES, STATIC_ROWS, ROW_NAME_SIZE, ROW_STRIDE } from "./static-table.ts";

export const Indexing = {
  /** Enters when the same bytes were seen shortly before. */
  second: 0,
  /** Stays a literal. */
  none: 1,
  /** A literal that no hop may put into a table. */
  never: 2,
  /** Enters now. */
  now: 3,
} as const;
export type Indexing = (typeof Indexing)[keyof typeof Indexing];

/** Bytes. A shorter cookie could be guessed through the sizes of what is sent; so it never enters a table. */
export const COOKIE_BYTES_MIN = 20;

const BY_NAME: Readonly<Record<string, Indexing>> = {
  age: Indexing.none,
  "content-length": Indexing.none,
  "content-range": Indexing.none,
  etag: Indexing.none,
  "if-modified-since": Indexing.none,
  "if-none-match": Indexing.none,
  "if-range": Indexing.none,
  "if-unmodified-since": Indexing.none,
  location: Indexing.none,
  range: Indexing.none,
  "set-cookie": Indexing.none,
  authorization: Indexing.never,
  "proxy-authorization": Indexing.never,
};

/** By index of the name in the static table; 0: a name that is not there. */
export const INDEXING: Uint8Array = new Uint8Array(STATIC_COUNT + 1);

for (let index = 1; index <= STATIC_COUNT; index++) {
  const at = STATIC_ROWS[index * ROW_STRIDE]!;
  const name = STATIC_LINES.toString("latin1", at, at + STATIC_ROWS[index * ROW_STRIDE + ROW_NAME_SIZE]!);
  INDEXING[index] = BY_NAME[name] ?? Indexing.second;
}
