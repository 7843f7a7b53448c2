// The report as one page: no network, no script, pictures as SVG. Readable from a phone's width to a wide screen, and on paper.

import type { Chart } from "./charts/canvas.ts";
import { escapeText } from "./charts/canvas.ts";
import { chartStyle } from "./charts/palette.ts";
import { inlineSvg } from "./charts/svg.ts";
import type { Remark, ReportDocument, Section } from "./document.ts";
import { isWords, type Table } from "./table.ts";

const STYLE = `
*{box-sizing:border-box}
body{margin:0 auto;padding:20px 16px 60px;max-width:1320px;background:var(--paper);color:var(--ink);
 font:15px/1.5 system-ui,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif}
h1{font-size:26px;line-height:1.25;margin:0 0 8px}h2{font-size:20px;margin:44px 0 2px;padding-top:10px;border-top:1px solid var(--grid)}
p{margin:4px 0 10px}a{color:var(--c1)}
code{font-family:ui-monospace,'DejaVu Sans Mono',Consolas,monospace;font-size:13px;overflow-wrap:anywhere}
.facts{margin:0;padding:0;list-style:none;color:var(--faint)}nav{margin:12px 0;line-height:2}nav a{margin-right:14px;white-space:nowrap}
.about{color:var(--faint)}
.pictures{columns:2 540px;column-gap:14px;margin:12px 0}
figure{margin:0 0 14px;break-inside:avoid;border:1px solid var(--grid);border-radius:6px;padding:2px;max-width:760px}
.chart{display:block;width:100%;height:auto}
.scroll{overflow-x:auto;margin:14px 0}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums}
caption{text-align:left;white-space:nowrap;font-weight:600;padding:4px 0;font-size:15px}
th,td{padding:3px 14px 3px 0;text-align:right;border-bottom:1px solid var(--grid);vertical-align:top;white-space:nowrap}
th{font-weight:600;color:var(--faint)}.words{text-align:left}td.wrap{white-space:normal;min-width:180px;max-width:520px}
tr.strong td{font-weight:650}td small{display:block;font-size:11.5px;line-height:1.2;font-weight:400;color:var(--faint)}.below{font-size:13px;color:var(--faint);margin:-8px 0 14px;max-width:900px}
.remark{margin:6px 0;padding:6px 10px;border-left:4px solid var(--grid);overflow-wrap:anywhere}
.remark.warn{border-color:#d99000}.remark.fail{border-color:#d0342c}
@media print{h2{break-after:avoid}figure,table{break-inside:avoid}nav{display:none}}
`;

/** A figure with its interval takes two lines: side by side they would not fit five percentiles on a narrow screen. */
function figureHtml(text: string): string {
  const interval = /^(\S+) (\(.+\))$/.exec(text);
  return interval === null ? escapeText(text) : `${escapeText(interval[1]!)}<small>${escapeText(interval[2]!)}</small>`;
}

/** Words longer than this may take several lines. */
const WRAP_AT = 36;

function cell(of: Table, text: string, column: number): string {
  const classes = [isWords(of, column) ? "words" : "", isWords(of, column) && text.length > WRAP_AT ? "wrap" : ""].filter(
    (name) => name !== "",
  );
  const attribute = classes.length === 0 ? "" : ` class="${classes.join(" ")}"`;
  return `<td${attribute}>${isWords(of, column) ? escapeText(text) : figureHtml(text)}</td>`;
}

function headHtml(of: Table): string {
  if (of.head.every((text) => text === "")) return "";
  const cells = of.head.map((text, column) => `<th scope="col"${isWords(of, column) ? ' class="words"' : ""}>${escapeText(text)}</th>`);
  return `<thead><tr>${cells.join("")}</tr></thead>\n`;
}

function htmlTable(of: Table): string {
  const rows = of.rows.map((cells, index) => {
    const strong = index === of.emphasis ? ' class="strong"' : "";
    return `<tr${strong}>${of.head.map((_, column) => cell(of, cells[column] ?? "", column)).join("")}</tr>`;
  });
  const note = of.note === null ? "" : `\n<p class="below">${escapeText(of.note)}</p>`;
  const caption = `<caption>${escapeText(of.title)}</caption>`;
  return `<div class="scroll"><table>${caption}\n${headHtml(of)}<tbody>\n${rows.join("\n")}\n</tbody></table></div>${note}`;
}

function htmlRemark(remark: Remark): string {
  return `<p class="remark ${remark.state}">${escapeText(remark.text)}</p>`;
}

/** Pictures that follow each other stand side by side where there is room. */
function blocksHtml(section: Section): string[] {
  const parts: string[] = [];
  let row: Chart[] = [];
  const closeRow = (): void => {
    if (row.length > 0)
      parts.push(`<div class="pictures">\n${row.map((chart) => `<figure>${inlineSvg(chart)}</figure>`).join("\n")}\n</div>`);
    row = [];
  };
  for (const block of section.blocks) {
    if (block.kind === "chart") row.push(block);
    else {
      closeRow();
      parts.push(block.kind === "table" ? htmlTable(block) : htmlRemark(block));
    }
  }
  closeRow();
  return parts;
}

function sectionHtml(section: Section): string {
  const about = section.text === null ? [] : [`<p class="about">${escapeText(section.text)}</p>`];
  return [`<h2 id="${section.id}">${escapeText(section.title)}</h2>`, ...about, ...blocksHtml(section)].join("\n");
}

export function htmlReport(document: ReportDocument): string {
  const facts = document.facts.map(
    ([name, value]) => `<li>${escapeText(name)}: ${name === "command" ? `<code>${escapeText(value)}</code>` : escapeText(value)}</li>`,
  );
  const links = document.sections.map((section) => `<a href="#${section.id}">${escapeText(section.title)}</a>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(document.title)}</title>
<style>
${chartStyle(":root")}
${STYLE.trim()}
</style>
</head>
<body>
<h1>${escapeText(document.title)}</h1>
<ul class="facts">
${facts.join("\n")}
</ul>
<nav>${links.join(" ")}</nav>
${document.sections.map(sectionHtml).join("\n")}
</body>
</html>
`;
}
