// A second chunked decoder: slow, obvious, over complete input only, by a regular expression per part. The chunk scanner must
// accept exactly what it accepts (RFC 9112 section 7.1, and what Weft refuses beyond it: white space in size lines).

import type { Buffer } from "node:buffer";

export interface ReferenceResult {
  readonly verdict: "complete" | "incomplete" | "refused";
  readonly payload: string;
  /** Trailer lines as they came, before forbidden ones are dropped. */
  readonly trailers: readonly string[];
  /** A size line had an extension. */
  readonly hasExtensions: boolean;
  /** Bytes of the body when it is complete. */
  readonly size: number;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"';
const SIZE_LINE = new RegExp(`^([0-9a-fA-F]{1,8})((?:;${TOKEN}(?:=(?:${TOKEN}|${QUOTED}))?)*)\\r\\n`);
const TRAILER_LINE = new RegExp(`^${TOKEN}:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n`);

/** Bytes of extensions per line and per message, and of trailers, that the scanner reads. Inputs near them are left to the corpus. */
export const EXTENSION_BYTES_SAFE = 900;

/** Decodes the body at the start of `bytes`. */
export function decodeChunked(bytes: Buffer): ReferenceResult {
  const text = bytes.toString("latin1");
  let at = 0;
  let payload = "";
  let hasExtensions = false;
  const trailers: string[] = [];
  const result = (verdict: ReferenceResult["verdict"]): ReferenceResult => ({ verdict, payload, trailers, hasExtensions, size: at });
  for (;;) {
    const line = SIZE_LINE.exec(text.slice(at));
    if (line === null) return result(couldBecome(text.slice(at), SIZE_LINE, sizeLineEndings) ? "incomplete" : "refused");
    at += line[0].length;
    if (line[2] !== "") hasExtensions = true;
    const size = Number.parseInt(line[1]!, 16);
    if (size === 0) break;
    const data = text.slice(at, at + size);
    payload += data;
    if (data.length < size) return result("incomplete");
    const end = text.slice(at + size, at + size + 2);
    if (!"\r\n".startsWith(end)) return result("refused");
    if (end.length < 2) return result("incomplete");
    at += size + 2;
  }
  for (;;) {
    if (text.startsWith("\r\n", at)) {
      at += 2;
      return result("complete");
    }
    const rest = text.slice(at);
    const line = TRAILER_LINE.exec(rest);
    if (line === null) return result(rest === "\r" || couldBecome(rest, TRAILER_LINE, trailerEndings) ? "incomplete" : "refused");
    trailers.push(line[0]);
    at += line[0].length;
  }
}

const sizeLineEndings = ["0\r\n", "\r\n", "\n", "a\r\n", '"\r\n', 'a"\r\n'];
const trailerEndings = ["a:\r\n", ":\r\n", "\r\n", "\n"];

/** Can `rest`, in which the pattern did not match, be the beginning of a match? */
function couldBecome(rest: string, pattern: RegExp, endings: readonly string[]): boolean {
  return endings.some((ending) => pattern.exec(rest + ending)?.[0].length === rest.length + ending.length);
}
