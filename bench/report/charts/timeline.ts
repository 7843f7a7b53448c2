// Latency over time: one strip per subject, all with the same axes, so that no line hides another.
//
// Rounds are set one after the other as if the subject had been alone; rounds with the same number stand below each other, and the
// thin vertical lines are where one ends. The shade reaches from the median to the slowest request of each slice.

import { type Chart, Canvas, FONT_SIZE, type Box, fitted, textWidth } from "./canvas.ts";
import { CHART_WIDTH, MARGIN, drawBottomAxis, drawLegend, drawTitle, roomyTicks } from "./frame.ts";
import { type Palette, fillClass, lineClass } from "./palette.ts";
import { type Scale, linearScale, linearTicks, logScale, logTicks, thinned, tickText } from "./scale.ts";

export interface TimeSlice {
  /** Its place from the start of its round, milliseconds. */
  readonly atMs: number;
  readonly p50Us: number;
  readonly maxUs: number;
}

export interface TimeSeries {
  readonly name: string;
  /** By round; `offsetMs` is where the round begins on the common axis. */
  readonly rounds: readonly { readonly offsetMs: number; readonly slices: readonly TimeSlice[] }[];
}

const STRIP = 46;
const STRIP_GAP = 14;
const NAME_WIDTH_MAX = 130;
const POINTS_MAX = 260;
const TICKS_WANTED = 8;

/** Null when nobody has slices. */
export function timeline(
  id: string,
  what: string,
  all: readonly TimeSeries[],
  roundEndsMs: readonly number[],
  palette: Palette,
): Chart | null {
  const title = "Latency over time";
  const series = all.filter((one) => one.rounds.some((round) => round.slices.length > 0));
  if (series.length === 0) return null;
  const canvas = new Canvas(CHART_WIDTH);
  const top = drawTimeLegend(canvas, drawTitle(canvas, title, what)) + 8;
  const slices = series.flatMap((one) => one.rounds.flatMap((round) => round.slices));
  const lowest =
    Math.max(
      1,
      slices.reduce((least, slice) => Math.min(least, slice.p50Us), Number.POSITIVE_INFINITY),
    ) / 1000;
  const highest =
    Math.max(
      2,
      slices.reduce((most, slice) => Math.max(most, slice.maxUs), 0),
    ) / 1000;
  const ticks = logTicks(lowest, highest);
  const strip = logScale(ticks[0]!, ticks.at(-1)!, STRIP, 0);
  const shown = thinned(ticks, strip, FONT_SIZE * 1.15);
  const names = Math.min(NAME_WIDTH_MAX, Math.max(...series.map((one) => textWidth(one.name, FONT_SIZE * 1.06))));
  const figures = Math.max(...shown.map((tick) => textWidth(tickText(tick), FONT_SIZE - 2)));
  const left = MARGIN + FONT_SIZE + 8 + names + 12 + figures + 6;
  const plot = { left, right: CHART_WIDTH - MARGIN - 10, top, bottom: top + series.length * (STRIP + STRIP_GAP) - STRIP_GAP };
  const endMs = Math.max(1, roundEndsMs.at(-1) ?? 1);
  const x = linearScale(0, endMs, plot.left, plot.right);
  for (const end of roundEndsMs.slice(0, -1)) canvas.line(x(end), plot.top, x(end), plot.bottom, "grid");
  for (const [index, one] of series.entries()) {
    const box = { ...plot, top: top + index * (STRIP + STRIP_GAP), bottom: top + index * (STRIP + STRIP_GAP) + STRIP };
    drawStrip(canvas, one, box, { x, y: logScale(ticks[0]!, ticks.at(-1)!, box.bottom, box.top) }, shown, palette);
  }
  const axis = fitted("latency, ms (logarithmic)", FONT_SIZE, plot.bottom - plot.top);
  canvas.label(axis, MARGIN + FONT_SIZE * 0.8, (plot.top + plot.bottom) / 2, {
    anchor: "middle",
    isUpright: true,
    className: "t faint-text",
  });
  const places = linearTicks(endMs / 1000, TICKS_WANTED)
    .filter((tick) => tick * 1000 <= endMs)
    .map((tick) => ({ x: x(tick * 1000), text: tickText(tick) }));
  const height = drawBottomAxis(
    canvas,
    plot,
    roomyTicks(places, CHART_WIDTH),
    "seconds of load, the rounds of each subject one after the other",
  );
  return canvas.finish(id, title, `${title}. ${what}. ${series.map((one) => one.name).join(", ")}.`, height);
}

function drawStrip(
  canvas: Canvas,
  series: TimeSeries,
  box: Box,
  { x, y }: { x: Scale; y: Scale },
  ticks: readonly number[],
  palette: Palette,
): void {
  const style = palette.of(series.name);
  for (const tick of ticks) {
    canvas.line(box.left, y(tick), box.right, y(tick), "grid");
    canvas.label(tickText(tick), box.left - 5, y(tick) + FONT_SIZE * 0.3, {
      anchor: "end",
      size: FONT_SIZE - 2,
      className: "t faint-text",
    });
  }
  const figures = Math.max(...ticks.map((tick) => textWidth(tickText(tick), FONT_SIZE - 2)));
  const name = fitted(series.name, FONT_SIZE * 1.06, NAME_WIDTH_MAX);
  canvas.label(name, box.left - 5 - figures - 12, (box.top + box.bottom) / 2 + FONT_SIZE * 0.35, {
    anchor: "end",
    className: style.isEmphasised ? "t strong" : "t",
  });
  const perRound = Math.max(2, Math.floor(POINTS_MAX / series.rounds.length));
  for (const round of series.rounds) {
    const points = thinSlices(round.slices, perRound).map((slice) => ({
      x: x(round.offsetMs + slice.atMs),
      median: y(Math.max(1, slice.p50Us) / 1000),
      slowest: y(Math.max(1, slice.maxUs) / 1000),
    }));
    const upper = points.map((point) => [point.x, point.slowest] as const);
    const lower = points.map((point) => [point.x, point.median] as const);
    canvas.path([...upper, ...lower.toReversed()], fillClass(style, "faint"), true);
    canvas.path(upper, `${lineClass({ ...style, dash: 0, isEmphasised: false })} thin`);
    canvas.path(lower, lineClass({ ...style, dash: 0, isEmphasised: true }));
  }
}

/** Neighbours put together until there are few enough: the slowest stays the slowest, the median is the middle one of theirs. */
export function thinSlices(slices: readonly TimeSlice[], most: number): TimeSlice[] {
  const size = Math.ceil(slices.length / most);
  if (size <= 1) return [...slices];
  return Array.from({ length: Math.ceil(slices.length / size) }, (_, index) => {
    const group = slices.slice(index * size, (index + 1) * size);
    const medians = group.map((slice) => slice.p50Us).sort((a, b) => a - b);
    return { atMs: group[0]!.atMs, p50Us: medians[medians.length >> 1]!, maxUs: Math.max(...group.map((slice) => slice.maxUs)) };
  });
}

function drawTimeLegend(canvas: Canvas, top: number): number {
  const style = { color: 0, dash: 0, marker: 0, isEmphasised: false };
  return drawLegend(
    canvas,
    [
      {
        text: "slowest request",
        draw: (on, from, to, y) => {
          on.rect({ left: from, right: to, top: y, bottom: y + 6 }, fillClass(style, "faint"));
          on.line(from, y, to, y, `${lineClass(style)} thin`);
        },
      },
      { text: "median", draw: (on, from, to, y) => on.line(from, y, to, y, lineClass({ ...style, isEmphasised: true })) },
    ],
    top,
  );
}
