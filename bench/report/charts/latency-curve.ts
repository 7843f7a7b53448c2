// Latency by percentile, the picture that HdrHistogram made usual: each nine of the percentile takes as much room as the one before.
//
// x is log10(1 / (1 - percentile)), y is logarithmic too, because subjects differ by factors. A curve ends where fewer than five
// requests lie above: what is beyond is luck.

import { type Distribution, TAIL_SAMPLES_MIN } from "../../statistics/distribution.ts";
import { type Chart, Canvas, FONT_SIZE, textWidth } from "./canvas.ts";
import { CHART_WIDTH, MARGIN, drawBottomAxis, drawLeftAxis, drawLegend, drawTitle, roomyTicks, subjectEntries } from "./frame.ts";
import { type Palette, fillClass, lineClass } from "./palette.ts";
import { logScale, logTicks, linearScale, thinned, tickText } from "./scale.ts";

export interface CurveSeries {
  readonly name: string;
  readonly latency: Distribution;
}

/** Where a percentile 0..100 stands: 0 at 0, 1 at p90, 2 at p99. */
export function nines(percentile: number): number {
  return -Math.log10(1 - percentile / 100);
}

const PLOT_HEIGHT = 270;
/** Points per curve: more than the eye tells apart at this width. */
const POINTS = 160;
const TICKS = [0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999];
/** Markers stand where people read: not at 0, where every curve begins. */
const MARKED = TICKS.slice(1);

/** Points of a curve, `[nines, ms]`; empty for a distribution that carries nothing. */
export function curvePoints(latency: Distribution): [number, number][] {
  const end = Math.log10(latency.count / TAIL_SAMPLES_MIN);
  if (!(end > 0)) return [];
  const points: [number, number][] = [];
  let index = 0;
  let seen = latency.counts[0]!;
  for (let step = 0; step <= POINTS; step++) {
    const place = (end * step) / POINTS;
    const wanted = latency.count * (1 - 10 ** -place);
    while (seen < wanted - 1e-6 && index < latency.values.length - 1) seen += latency.counts[++index]!;
    // A latency of 0 us is one below the resolution; a logarithm wants something.
    points.push([place, Math.max(1, latency.values[index]!) / 1000]);
  }
  return points;
}

function valueOn(points: readonly (readonly [number, number])[], place: number): number {
  return points.find(([x]) => x >= place - 1e-9)?.[1] ?? points.at(-1)![1];
}

/** Null without a single curve. */
export function latencyCurve(id: string, title: string, what: string, series: readonly CurveSeries[], palette: Palette): Chart | null {
  const curves = series.map(({ name, latency }) => ({ name, points: curvePoints(latency) })).filter(({ points }) => points.length > 0);
  if (curves.length === 0) return null;
  const canvas = new Canvas(CHART_WIDTH);
  const legend = subjectEntries(
    curves.map(({ name }) => name),
    palette,
  );
  const top = drawLegend(canvas, legend, drawTitle(canvas, title, what)) + 6;
  const values = curves.flatMap(({ points }) => points.map(([, ms]) => ms));
  const ticks = logTicks(Math.min(...values), Math.max(...values));
  const y = logScale(ticks[0]!, ticks.at(-1)!, top + PLOT_HEIGHT, top);
  const shown = thinned(ticks, y, FONT_SIZE * 1.6);
  const left = MARGIN + FONT_SIZE + 10 + Math.max(...shown.map((tick) => textWidth(tickText(tick), FONT_SIZE))) + 6;
  const plot = { left, right: CHART_WIDTH - MARGIN - 26, top, bottom: top + PLOT_HEIGHT };
  const longest = Math.max(...curves.map(({ points }) => points.at(-1)![0]));
  const x = linearScale(0, longest, plot.left, plot.right);
  drawLeftAxis(canvas, plot, y, shown, "latency, ms (logarithmic)");
  const places = TICKS.filter((tick) => nines(tick) <= longest + 1e-9).map((tick) => ({ x: x(nines(tick)), text: `${tick}\u00a0%` }));
  for (const place of places) canvas.line(place.x, plot.top, place.x, plot.bottom, "grid");
  const height = drawBottomAxis(canvas, plot, roomyTicks(places, CHART_WIDTH), "percentile: so many of the requests were at least as fast");
  // Weft last: on top of the others.
  const ordered = [...curves].sort((a, b) => Number(palette.of(a.name).isEmphasised) - Number(palette.of(b.name).isEmphasised));
  for (const { name, points } of ordered) {
    const style = palette.of(name);
    canvas.path(
      points.map(([place, ms]) => [x(place), y(ms)] as const),
      lineClass(style),
    );
    const last = points.at(-1)![0];
    for (const percentile of MARKED) {
      const place = nines(percentile);
      if (place <= last + 1e-9) canvas.marker(style.marker, x(place), y(valueOn(points, place)), fillClass(style, "full"));
    }
  }
  return canvas.finish(id, title, `${title}. ${what}. ${curves.map(({ name }) => name).join(", ")}.`, height);
}
