// What a header block may come to, as small integers, and the limits that decide about it (RFC 7541, RFC 9113 section 8.2).
//
//   0   the block is complete and right
//   > 0 this message only: the stream ends with an error or a 431, the table is in step, the connection goes on
//   < 0 the connection is lost: the table can no longer be in step, or the sender asks for too much work

export const HpackCode = {
  ok: 0,

  /** The list is larger than `listBytesMax`, `fieldsMax` or the output buffer allow: answer 431. What did not fit is not stored. */
  tooLarge: 1,
  /** A name is empty, has an upper-case letter or another byte that is none of a token's (RFC 9113 section 8.2.1). */
  badName: 2,
  /** A value has a control character, or begins or ends with white space (RFC 9113 section 8.2.1). */
  badValue: 3,
  /** A name begins with a colon and is no pseudo-header field that Weft knows (RFC 9113 section 8.3). */
  unknownPseudo: 4,
  /** A pseudo-header field stands behind a regular one. */
  latePseudo: 5,
  /** A pseudo-header field is there twice. */
  repeatedPseudo: 6,

  /** The block ends inside of a field. COMPRESSION_ERROR, as all that follow but `tooMuchWork`. */
  truncated: -1,
  /** An integer is longer than five bytes behind its prefix, or above 2^31 - 1 (RFC 7541 section 5.1). */
  badInteger: -2,
  /** Index 0, or one behind the end of both tables (RFC 7541 section 2.3.3). */
  badIndex: -3,
  /** Huffman padding of more than 7 bits or with a zero in it, or the EOS symbol (RFC 7541 section 5.2). */
  badHuffman: -4,
  /** A table size update above the limit that was announced (RFC 7541 section 6.3). */
  sizeUpdateTooLarge: -5,
  /** A table size update behind a field, or a third one (RFC 7541 section 4.2). */
  sizeUpdateMisplaced: -6,
  /** The limit was lowered, and the next block does not begin with the update that it asks for (RFC 7541 section 4.2). */
  sizeUpdateMissing: -7,
  /** A string or a list far above every limit: ENHANCE_YOUR_CALM. */
  tooMuchWork: -8,
} as const;
export type HpackCode = (typeof HpackCode)[keyof typeof HpackCode];

/** Bits of `FieldBlock.flags`, and what an encoder is given with a field. */
export const FieldFlag = {
  /** Came as a never-indexed literal and leaves as one, on every hop (RFC 7541 section 7.1.3). */
  neverIndexed: 1,
} as const;

/** Pseudo-header fields (RFC 9113 section 8.3, RFC 8441 section 4): indices of `FieldBlock.pseudo`. */
export const Pseudo = { method: 0, scheme: 1, authority: 2, path: 3, status: 4, protocol: 5 } as const;
export type Pseudo = (typeof Pseudo)[keyof typeof Pseudo];

export const PSEUDO_COUNT = 6;

/** What an entry counts beyond its bytes, in tables and in lists (RFC 7541 section 4.1, RFC 9113 section 6.5.2). */
export const ENTRY_OVERHEAD = 32;

/** The table's size before any SETTINGS (RFC 9113 section 6.5.2). */
export const TABLE_SIZE_DEFAULT = 4096;

/** Bytes. Largest table of ours in either direction: more costs memory per connection and saves next to nothing. */
export const TABLE_SIZE_MAX = 64 * 1024;

/**
 * A list above `listBytesMax` is read on, for the table's sake, up to this many times the limit. Beyond it the sender is no client with
 * too many cookies: one byte can name a field of 4 KB, so a block of 16 KB can stand for 64 MB.
 */
export const LIST_FACTOR_MAX = 16;
