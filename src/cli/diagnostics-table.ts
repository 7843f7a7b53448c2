// Aligned columns of plain text.

const GAP = "  ";

/** Heads and rows, each column as wide as its widest cell; every line ends with a line end, none with spaces. */
export function tableText(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)));
  return lines
    .map(
      (cells) =>
        `${cells
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join(GAP)
          .trimEnd()}\n`,
    )
    .join("");
}
