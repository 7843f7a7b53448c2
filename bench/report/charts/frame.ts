// What the pictures have in common: title, legend, axes with their names.

import { FONT_SIZE, TITLE_SIZE, type Box, type Canvas, fitted, textWidth, wrapped } from "./canvas.ts";
import { type Palette, type SeriesStyle, fillClass, lineClass } from "./palette.ts";
import { type Scale, tickText } from "./scale.ts";

/** Of all pictures: two stand side by side at 1280 pixels, one fills the width at 800. */
export const CHART_WIDTH = 620;
export const MARGIN = 12;
export const LINE_HEIGHT = 18;

/** Baseline of the figures below a plot: clear of the lowest figure at its left. */
const TICK_DROP = FONT_SIZE + 7;
const SUBTITLE_LINES_MAX = 2;
const SWATCH = 28;
const SWATCH_GAP = 6;
const ENTRY_GAP = 16;

/** Title, and what was done in one line or two; returns the y below them. */
export function drawTitle(canvas: Canvas, title: string, subtitle: string): number {
  const width = canvas.width - 2 * MARGIN;
  let y = MARGIN + TITLE_SIZE;
  canvas.label(fitted(title, TITLE_SIZE * 1.06, width), MARGIN, y, { size: TITLE_SIZE, className: "t strong" });
  for (const line of wrapped(subtitle, FONT_SIZE, width, SUBTITLE_LINES_MAX)) {
    y += LINE_HEIGHT;
    canvas.label(line, MARGIN, y, { className: "t faint-text" });
  }
  return y + 6;
}

export interface LegendEntry {
  readonly text: string;
  /** Draws the sample between two x at a y. */
  draw(canvas: Canvas, from: number, to: number, y: number): void;
}

export function lineEntry(text: string, style: SeriesStyle): LegendEntry {
  return {
    text,
    draw: (canvas, from, to, y) => {
      canvas.line(from, y, to, y, lineClass(style));
      canvas.marker(style.marker, (from + to) / 2, y, fillClass(style, "full"));
    },
  };
}

export function subjectEntries(names: readonly string[], palette: Palette): LegendEntry[] {
  return names.map((name) => lineEntry(name, palette.of(name)));
}

/** Entries in as many rows as they need; returns the y below. */
export function drawLegend(canvas: Canvas, entries: readonly LegendEntry[], top: number): number {
  let x = MARGIN;
  let y = top + LINE_HEIGHT - 4;
  const widest = canvas.width - 2 * MARGIN - SWATCH - SWATCH_GAP;
  for (const entry of entries) {
    const text = fitted(entry.text, FONT_SIZE, widest);
    const width = SWATCH + SWATCH_GAP + textWidth(text, FONT_SIZE);
    if (x > MARGIN && x + width > canvas.width - MARGIN) {
      x = MARGIN;
      y += LINE_HEIGHT;
    }
    entry.draw(canvas, x, x + SWATCH, y - FONT_SIZE * 0.35);
    canvas.label(text, x + SWATCH + SWATCH_GAP, y);
    x += width + ENTRY_GAP;
  }
  return y + 10;
}

/** Grid lines and figures at the left; the axis' name beside them, upright. */
export function drawLeftAxis(canvas: Canvas, plot: Box, scale: Scale, ticks: readonly number[], name: string): void {
  for (const tick of ticks) {
    const y = scale(tick);
    canvas.line(plot.left, y, plot.right, y, "grid");
    canvas.label(tickText(tick), plot.left - 6, y + FONT_SIZE * 0.33, { anchor: "end", className: "t faint-text" });
  }
  const text = fitted(name, FONT_SIZE, plot.bottom - plot.top);
  canvas.label(text, MARGIN + FONT_SIZE * 0.8, (plot.top + plot.bottom) / 2, {
    anchor: "middle",
    isUpright: true,
    className: "t faint-text",
  });
}

/** Figures below the plot and the axis' name below them; returns the y below all. */
export function drawBottomAxis(
  canvas: Canvas,
  plot: Box,
  ticks: readonly { readonly x: number; readonly text: string }[],
  name: string,
): number {
  canvas.line(plot.left, plot.bottom, plot.right, plot.bottom, "axis");
  for (const tick of ticks) {
    canvas.line(tick.x, plot.bottom, tick.x, plot.bottom + 4, "axis");
    canvas.label(tick.text, tick.x, plot.bottom + TICK_DROP, { anchor: "middle", className: "t faint-text" });
  }
  const y = plot.bottom + TICK_DROP + LINE_HEIGHT;
  canvas.label(fitted(name, FONT_SIZE, canvas.width - 2 * MARGIN), canvas.width - MARGIN, y, { anchor: "end", className: "t faint-text" });
  return y + 8;
}

/** Ticks whose texts have room beside each other and within the picture. */
export function roomyTicks(ticks: readonly { readonly x: number; readonly text: string }[], width: number): { x: number; text: string }[] {
  const kept: { x: number; text: string }[] = [];
  let free = 0;
  for (const tick of ticks) {
    const half = textWidth(tick.text, FONT_SIZE) / 2;
    if (tick.x - half < free || tick.x + half > width) continue;
    kept.push({ ...tick });
    free = tick.x + half + 6;
  }
  return kept;
}
