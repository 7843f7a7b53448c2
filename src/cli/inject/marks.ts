// Edits that can be taken back byte for byte: a line that is replaced stays as a comment, a line that is added stands between two marks.
//
//   #weft-    ports: ["8080:80"]        a line of the original, after the first six characters
//   #weft+begin                         what follows was not there, up to
//   #weft+end
//
// So the original survives later edits of the rest, and nothing but the file itself is needed to get it back. A file whose last line has no
// line end, and which goes on behind it, is remembered at the mark (NO_LINE_END). Refused are files that have such lines already.

/** What stands before a line of the original. */
const REMOVED = "#weft-";
const BEGIN = /^[ \t]*#weft\+begin( no-line-end-before)?$/;
const END = /^[ \t]*#weft\+end$/;
const ANY_MARK = /^(?:#weft-|[ \t]*#weft\+)/m;

const NO_LINE_END = " no-line-end-before";

/** Lines from `first` up to `end`, without it, give way to `lines` (without line ends). Equal: lines are added before `first`. Lines count from 0. */
export interface LineEdit {
  readonly first: number;
  readonly end: number;
  readonly lines: readonly string[];
}

/** True when the text has lines that look like marks. */
export function hasMarks(text: string): boolean {
  return ANY_MARK.test(text);
}

/** The first line that looks like a mark, from 0. */
export function firstMark(text: string): number {
  return splitLines(text.slice(0, ANY_MARK.exec(text)?.index ?? 0)).length;
}

/** A text's lines, each with its line end; the last one may have none. */
export function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** Applies edits that do not overlap, in any order; those for the same line in the order of the list. */
export function applyEdits(text: string, edits: readonly LineEdit[]): string {
  const lines = splitLines(text);
  const lineEnd = lines[0]?.endsWith("\r\n") === true ? "\r\n" : "\n";
  const out: string[] = [];
  let at = 0;
  for (const edit of [...edits].sort((a, b) => a.first - b.first || a.end - b.end)) {
    if (edit.first < at) throw new Error("edits overlap");
    // One by one: a call takes some ten thousand arguments, a file may have more lines.
    for (const line of lines.slice(at, edit.first)) out.push(line);
    for (const line of lines.slice(edit.first, edit.end)) out.push(REMOVED + line);
    at = Math.max(at, edit.end);
    if (edit.lines.length > 0) addRegion(out, edit.lines, lineEnd);
  }
  return out.concat(lines.slice(at)).join("");
}

function addRegion(out: string[], added: readonly string[], lineEnd: string): void {
  const indent = /^ */.exec(added[0]!)![0];
  const before = out.at(-1);
  const isOpen = before !== undefined && !before.endsWith("\n");
  if (isOpen) out[out.length - 1] = before + lineEnd;
  out.push(`${indent}#weft+begin${isOpen ? NO_LINE_END : ""}${lineEnd}`);
  for (const line of added) out.push(line + lineEnd);
  out.push(`${indent}#weft+end${lineEnd}`);
}

/** The original of an edited text; `mistakeLine` counts from 0. */
export function takeBack(text: string): { readonly text: string } | { readonly mistake: string; readonly mistakeLine: number } {
  const out: string[] = [];
  let regionLine: number | null = null;
  for (const [index, line] of splitLines(text).entries()) {
    const bare = line.replace(/\r?\n$/, "");
    const begin = BEGIN.exec(bare);
    if (regionLine !== null) {
      if (begin !== null) return { mistake: "a part of weft inject begins within another", mistakeLine: index };
      if (END.test(bare)) regionLine = null;
    } else if (begin !== null) {
      regionLine = index;
      const before = out.at(-1);
      if (begin[1] !== undefined && before !== undefined) out[out.length - 1] = before.replace(/\r?\n$/, "");
    } else if (END.test(bare)) {
      return { mistake: "a part of weft inject ends that did not begin", mistakeLine: index };
    } else {
      out.push(bare.startsWith(REMOVED) ? line.slice(REMOVED.length) : line);
    }
  }
  if (regionLine !== null) return { mistake: "a part of weft inject begins here and does not end", mistakeLine: regionLine };
  const original = out.join("");
  if (hasMarks(original))
    return { mistake: "without what weft inject added, lines remain that look like its marks", mistakeLine: firstMark(text) };
  return { text: original };
}
