// Writes a report's files into a folder: result.json (the document itself, with the raw histograms), report.html, report.md, and the
// pictures as SVG files that the markdown links to.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchResult } from "../result.ts";
import { svgFile } from "./charts/svg.ts";
import { chartsOf, reportDocument } from "./document.ts";
import { htmlReport } from "./html.ts";
import { markdownReport } from "./markdown.ts";

const PICTURES = "pictures";

/** Paths of the files that people open, first the page. The folder is made if it is not there; files of the same names are replaced. */
export function writeReport(result: BenchResult, folder: string): string[] {
  const document = reportDocument(result);
  mkdirSync(join(folder, PICTURES), { recursive: true });
  const files: readonly (readonly [string, string])[] = [
    ["report.html", htmlReport(document)],
    ["report.md", markdownReport(document, `${PICTURES}/`)],
    ["result.json", `${JSON.stringify(result)}\n`],
  ];
  for (const [name, text] of files) writeFileSync(join(folder, name), text);
  for (const chart of chartsOf(document)) writeFileSync(join(folder, PICTURES, `${chart.id}.svg`), svgFile(chart));
  return files.map(([name]) => join(folder, name));
}
