// Blanks out comments, and on request the contents of strings, so that a search finds code only.
//
// A small lexer for the TypeScript of this project, not a parser: it knows line and block comments, the three kinds of
// quotes, template substitutions, and regular expressions (by what stands before the slash). Line breaks and columns stay.

/** What `maskSource` leaves readable. */
export type MaskMode = "keep-strings" | "blank-strings";

/** After one of these a slash begins a regular expression, not a division. */
const REGEX_MAY_FOLLOW = /(^|[(,=:[!&|?{};+\-*%~^<>]|\b(return|typeof|case|in|of|delete|void|throw|new|else|do))\s*$/;

/** Replaces everything but line breaks with spaces. */
function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

/** End (exclusive) of the quoted text that begins at `start`. */
function endOfQuoted(source: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < source.length && source[at] !== quote) at += source[at] === "\\" ? 2 : 1;
  return Math.min(at + 1, source.length);
}

/** End (exclusive) of the regular expression that begins at `start`. */
function endOfRegex(source: string, start: number): number {
  let inClass = false;
  let at = start + 1;
  for (; at < source.length && source[at] !== "\n"; at++) {
    const char = source[at];
    if (char === "\\") at++;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return at + 1;
  }
  return at;
}

/** End (exclusive) of a comment, or `start` if there is none. */
function endOfComment(source: string, start: number): number {
  if (source.startsWith("//", start)) {
    const end = source.indexOf("\n", start);
    return end === -1 ? source.length : end;
  }
  if (source.startsWith("/*", start)) {
    const end = source.indexOf("*/", start + 2);
    return end === -1 ? source.length : end + 2;
  }
  return start;
}

/** The source with comments (and strings) blanked; same length, same lines. */
export function maskSource(source: string, mode: MaskMode): string {
  let out = "";
  let at = 0;
  // One entry per open template substitution: how many braces are open inside it.
  const substitutions: number[] = [];
  let inTemplate = false;
  const keep = (end: number, isText: boolean): void => {
    const text = source.slice(at, end);
    out += isText && mode === "blank-strings" ? blank(text) : text;
    at = end;
  };
  while (at < source.length) {
    const char = source[at]!;
    if (inTemplate) {
      if (char === "\\") keep(at + 2, true);
      else if (char === "`") {
        keep(at + 1, false);
        inTemplate = false;
      } else if (source.startsWith("${", at)) {
        keep(at + 2, false);
        substitutions.push(0);
        inTemplate = false;
      } else keep(at + 1, true);
      continue;
    }
    const commentEnd = endOfComment(source, at);
    if (commentEnd > at) {
      out += blank(source.slice(at, commentEnd));
      at = commentEnd;
    } else if (char === '"' || char === "'") {
      const end = endOfQuoted(source, at, char);
      keep(at + 1, false);
      keep(end - 1, true);
      keep(end, false);
    } else if (char === "`") {
      keep(at + 1, false);
      inTemplate = true;
    } else if (char === "/" && REGEX_MAY_FOLLOW.test(out.slice(-40))) {
      const end = endOfRegex(source, at);
      out += blank(source.slice(at, end));
      at = end;
    } else {
      if (substitutions.length > 0) {
        const last = substitutions.length - 1;
        if (char === "{") substitutions[last]!++;
        else if (char === "}" && substitutions[last]! > 0) substitutions[last]!--;
        else if (char === "}") {
          substitutions.pop();
          inTemplate = true;
        }
      }
      keep(at + 1, false);
    }
  }
  return out;
}
