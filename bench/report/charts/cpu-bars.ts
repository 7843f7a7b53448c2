// CPU per request as bars: user and system time of each subject, the middle half of the rounds as a whisker, the figure beside it.

import { figure } from "../figures.ts";
import { type Chart, Canvas, FONT_SIZE, fitted, textWidth } from "./canvas.ts";
import { CHART_WIDTH, LINE_HEIGHT, MARGIN, drawBottomAxis, drawLegend, drawTitle, roomyTicks } from "./frame.ts";
import { type Palette, fillClass } from "./palette.ts";
import { linearScale, linearTicks, tickText } from "./scale.ts";

/** Microseconds per request. */
export interface CpuBar {
  readonly name: string;
  readonly totalUs: number;
  /** Of the total, by the kernel's ticks: 0..1. */
  readonly userShare: number;
  /** Middle half of the rounds; null when there are too few for one. */
  readonly middle: { readonly lowUs: number; readonly highUs: number } | null;
  /** `1.3 x nginx`; empty without a ratio. */
  readonly ratio: string;
}

const ROW = 27;
const BAR = 15;
const NAME_WIDTH_MAX = 150;
const TICKS_WANTED = 5;

/** Null without bars. */
export function cpuBars(id: string, title: string, what: string, bars: readonly CpuBar[], palette: Palette): Chart | null {
  if (bars.length === 0) return null;
  const canvas = new Canvas(CHART_WIDTH);
  const top =
    drawCpuLegend(
      canvas,
      bars.some((bar) => bar.middle !== null),
      drawTitle(canvas, title, what),
    ) + 2;
  const names = Math.min(NAME_WIDTH_MAX, Math.max(...bars.map((bar) => textWidth(bar.name, FONT_SIZE * 1.06))));
  const said = bars.map((bar) => [`${figure(bar.totalUs)} µs`, bar.ratio] as const);
  const columns = [0, 1].map((column) => Math.max(0, ...said.map((texts) => textWidth(texts[column as 0 | 1], FONT_SIZE * 1.06))));
  const right = CHART_WIDTH - MARGIN - columns[0]! - columns[1]! - 26;
  const plot = { left: MARGIN + names + 10, right, top, bottom: top + bars.length * ROW };
  const ticks = linearTicks(Math.max(...bars.map((bar) => Math.max(bar.totalUs, bar.middle?.highUs ?? 0))), TICKS_WANTED);
  const x = linearScale(0, ticks.at(-1)!, plot.left, plot.right);
  for (const tick of ticks) canvas.line(x(tick), plot.top, x(tick), plot.bottom, "grid");
  for (const [index, bar] of bars.entries()) {
    const style = palette.of(bar.name);
    const middle = plot.top + index * ROW + ROW / 2;
    const split = x(bar.totalUs * bar.userShare);
    const [barTop, bottom] = [middle - BAR / 2, middle + BAR / 2];
    canvas.rect({ left: plot.left, right: split, top: barTop, bottom }, fillClass(style, "full"));
    canvas.rect({ left: split, right: x(bar.totalUs), top: barTop, bottom }, fillClass(style, "half"));
    if (bar.middle !== null) drawWhisker(canvas, x(bar.middle.lowUs), x(bar.middle.highUs), middle);
    const className = style.isEmphasised ? "t strong" : "t";
    const baseline = middle + FONT_SIZE * 0.35;
    canvas.label(fitted(bar.name, FONT_SIZE * 1.06, NAME_WIDTH_MAX), plot.left - 8, baseline, { anchor: "end", className });
    canvas.label(said[index]![0], plot.right + 10 + columns[0]!, baseline, { anchor: "end", className });
    if (bar.ratio !== "") canvas.label(bar.ratio, CHART_WIDTH - MARGIN, baseline, { anchor: "end", className: `${className} faint-text` });
  }
  const places = ticks.map((tick) => ({ x: x(tick), text: tickText(tick) }));
  const height = drawBottomAxis(canvas, plot, roomyTicks(places, CHART_WIDTH), "CPU time per request, µs (less is better)");
  return canvas.finish(
    id,
    title,
    `${title}. ${bars.map((bar) => `${bar.name} ${figure(bar.totalUs)} µs ${bar.ratio}`).join(", ")}.`,
    height,
  );
}

function drawWhisker(canvas: Canvas, from: number, to: number, y: number): void {
  canvas.line(from, y, to, y, "whisker");
  for (const end of [from, to]) canvas.line(end, y - 4, end, y + 4, "whisker");
}

function drawCpuLegend(canvas: Canvas, hasWhiskers: boolean, top: number): number {
  const style = { color: 0, dash: 0, marker: 0, isEmphasised: false };
  const swatch = (strength: "full" | "half") => (on: Canvas, from: number, to: number, y: number) =>
    on.rect({ left: from, right: to, top: y - 5, bottom: y + 5 }, fillClass(style, strength));
  const entries = [
    { text: "user", draw: swatch("full") },
    { text: "system", draw: swatch("half") },
    ...(hasWhiskers ? [{ text: "middle half of the rounds", draw: drawWhisker }] : []),
  ];
  return Math.max(drawLegend(canvas, entries, top), top + LINE_HEIGHT);
}
