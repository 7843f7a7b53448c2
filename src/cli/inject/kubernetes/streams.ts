// Files of a folder as one stream of documents.

/** The texts one behind the other, with a separator where there is none; a single one as it is. */
export function joinTexts(texts: readonly string[]): string {
  let stream = texts[0] ?? "";
  for (const text of texts.slice(1)) {
    if (stream !== "" && !stream.endsWith("\n")) stream += "\n";
    stream += /^(?:---|%)/.test(text) || stream === "" ? text : `---\n${text}`;
  }
  return stream;
}
