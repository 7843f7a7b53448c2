// Chunk extensions: `;` name [`=` token or quoted string], repeated (RFC 9112 section 7.1.1). Read, checked, thrown away.
//
// Refuses white space around `;` and `=` (a grammar error that recipients may only tolerate, and parsers disagree on where such
// a line ends), control characters, line ends inside quotes. Cold code: one byte at a time, resumable by its state.
//
//   start -> name -> value -> (token | quoted <-> escape -> closed) -> start ...     done at CR

import { BACKSLASH, CR, DQUOTE, EQUALS, SEMICOLON } from "../bytes/ascii.ts";
import { TOKEN_CHARS, VALUE_CHARS } from "./tables.ts";

export const ExtensionState = {
  /** Behind a `;`. */
  start: 0,
  name: 1,
  /** Behind `=`. */
  value: 2,
  token: 3,
  quoted: 4,
  /** Behind a backslash in quotes. */
  escape: 5,
  /** Behind the closing quote. */
  closed: 6,
  /** The CR was read. */
  done: 7,
  bad: 8,
} as const;
export type ExtensionState = (typeof ExtensionState)[keyof typeof ExtensionState];

/** The state behind one more byte. */
export function nextExtensionState(state: ExtensionState, byte: number): ExtensionState {
  switch (state) {
    case ExtensionState.start:
      return TOKEN_CHARS[byte] !== 0 ? ExtensionState.name : ExtensionState.bad;
    case ExtensionState.name:
      if (TOKEN_CHARS[byte] !== 0) return state;
      return byte === EQUALS ? ExtensionState.value : behindExtension(byte);
    case ExtensionState.value:
      if (byte === DQUOTE) return ExtensionState.quoted;
      return TOKEN_CHARS[byte] !== 0 ? ExtensionState.token : ExtensionState.bad;
    case ExtensionState.token:
      return TOKEN_CHARS[byte] !== 0 ? state : behindExtension(byte);
    case ExtensionState.quoted:
      if (byte === DQUOTE) return ExtensionState.closed;
      if (byte === BACKSLASH) return ExtensionState.escape;
      return VALUE_CHARS[byte] !== 0 ? state : ExtensionState.bad;
    case ExtensionState.escape:
      return VALUE_CHARS[byte] !== 0 ? ExtensionState.quoted : ExtensionState.bad;
    case ExtensionState.closed:
      return behindExtension(byte);
    default:
      return ExtensionState.bad;
  }
}

function behindExtension(byte: number): ExtensionState {
  if (byte === SEMICOLON) return ExtensionState.start;
  return byte === CR ? ExtensionState.done : ExtensionState.bad;
}
