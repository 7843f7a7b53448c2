// A picture as SVG: inside a page (which has the style sheet) or as a file of its own (which brings it along).

import { type Chart, type Label, at, escapeText } from "./canvas.ts";
import { chartStyle } from "./palette.ts";

function labelText(label: Label): string {
  const turn = label.isUpright ? ` transform="rotate(-90 ${at(label.x)} ${at(label.y)})"` : "";
  const place = `x="${at(label.x)}" y="${at(label.y)}" text-anchor="${label.anchor}" font-size="${at(label.size)}"`;
  return `<text ${place} class="${label.className}"${turn}>${escapeText(label.text)}</text>`;
}

function render(chart: Chart, attributes: string, extra: string): string {
  const titleId = `${chart.id}-title`;
  return [
    `<svg ${attributes} class="chart" viewBox="0 0 ${at(chart.width)} ${at(chart.height)}" role="img" aria-labelledby="${titleId}">`,
    `<title id="${titleId}">${escapeText(chart.description)}</title>`,
    extra,
    ...chart.shapes,
    ...chart.labels.map(labelText),
    "</svg>",
  ]
    .filter((line) => line !== "")
    .join("\n");
}

/** For a page that has `chartStyle` in its style sheet. */
export function inlineSvg(chart: Chart): string {
  return render(chart, `id="${chart.id}"`, "");
}

/** A file: `<img>` in a README shows it, light or dark as the reader's system is. */
export function svgFile(chart: Chart): string {
  const size = `xmlns="http://www.w3.org/2000/svg" width="${at(chart.width)}" height="${at(chart.height)}"`;
  const background = `<style>\n${chartStyle(".chart")}\n.paper{fill:var(--paper)}\n</style>\n<rect class="paper" width="100%" height="100%" rx="6"/>`;
  return `${render(chart, size, background)}\n`;
}
