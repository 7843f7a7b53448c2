// A table as every report has it, and its two plain forms. The first column is a name and stands to the left, the others are figures.

export interface Table {
  readonly kind: "table";
  readonly title: string;
  /** What the columns mean, where their heads cannot say it. */
  readonly note: string | null;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of words rather than figures: to the left. The first one always is. */
  readonly wordColumns: readonly number[];
  /** Index of the row to look at, such as Weft's. */
  readonly emphasis: number | null;
  /** Left out on the terminal. */
  readonly isDetail: boolean;
}

export function table(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  more: Partial<Pick<Table, "note" | "wordColumns" | "emphasis" | "isDetail">> = {},
): Table {
  return { kind: "table", title, head, rows, note: null, wordColumns: [], emphasis: null, isDetail: false, ...more };
}

export function isWords(of: Table, column: number): boolean {
  return column === 0 || of.wordColumns.includes(column);
}

/** Aligned columns, two spaces apart. */
export function plainTable(of: Table): string {
  const lines = [of.head, ...of.rows];
  const widths = of.head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const text = lines.map((line) =>
    widths
      .map((width, column) => (isWords(of, column) ? (line[column] ?? "").padEnd(width) : (line[column] ?? "").padStart(width)))
      .join("  "),
  );
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  const [head, ...rows] = text.map((line) => `  ${line.trimEnd()}`);
  const heads = of.head.every((name) => name === "") ? [] : [head, `  ${rule}`];
  return [of.title, ...heads, ...rows, ...(of.note === null ? [] : [`  (${of.note})`])].join("\n");
}

/** Without what markdown would take for markup. */
export function markdownText(text: string): string {
  return text.replace(/[\\`*_<[\]|]/g, "\\$&").replaceAll("\n", " ");
}

export function markdownTable(of: Table): string {
  const cell = markdownText;
  const line = (cells: readonly string[]): string => `| ${of.head.map((_, column) => cell(cells[column] ?? "")).join(" | ")} |`;
  const rule = `| ${of.head.map((_, column) => (isWords(of, column) ? "---" : "---:")).join(" | ")} |`;
  const rows = of.rows.map((cells, index) => line(index === of.emphasis ? cells.map((text) => (text === "" ? "" : `**${text}**`)) : cells));
  return [`**${cell(of.title)}**`, "", line(of.head), rule, ...rows, ...(of.note === null ? [] : ["", `_${cell(of.note)}_`])].join("\n");
}
