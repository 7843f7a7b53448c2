// Pictures of reports: no text lies on another or leaves the picture, whatever is measured and however the subjects are called.
//
// The renderer knows the box of each of its texts (by a table of widths that is on the generous side), so this needs no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Box, type Chart, type Label, Canvas, fitted, labelBox, textWidth, wrapped } from "../../bench/report/charts/canvas.ts";
import { type CpuBar, cpuBars } from "../../bench/report/charts/cpu-bars.ts";
import { latencyCurve } from "../../bench/report/charts/latency-curve.ts";
import { Palette, lineClass } from "../../bench/report/charts/palette.ts";
import { linearTicks, logScale, logTicks, thinned } from "../../bench/report/charts/scale.ts";
import { timeline } from "../../bench/report/charts/timeline.ts";
import { chartsOf, reportDocument } from "../../bench/report/document.ts";
import { distribution } from "./support/distributions.ts";
import { SAMPLE_SUBJECTS, sampleResult } from "./support/sample-result.ts";

function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** What is wrong with the texts of a picture, as sentences. */
function problems(chart: Chart): string[] {
  const boxes = chart.labels.map((label) => ({ label, box: labelBox(label) }));
  const found: string[] = [];
  for (const [index, { label, box }] of boxes.entries()) {
    if (box.left < 0 || box.top < 0 || box.right > chart.width || box.bottom > chart.height)
      found.push(`'${label.text}' leaves the picture`);
    for (const other of boxes.slice(index + 1)) {
      if (overlaps(box, other.box)) found.push(`'${label.text}' lies on '${other.label.text}'`);
    }
  }
  return found;
}

/** Numbers that drawing must not produce. */
function hasNoNonsense(chart: Chart): boolean {
  return !chart.shapes.some((shape) => /NaN|Infinity|undefined/.test(shape)) && Number.isFinite(chart.height);
}

function check(chart: Chart | null): void {
  if (chart === null) return;
  assert.deepEqual(problems(chart), []);
  assert.ok(hasNoNonsense(chart), chart.id);
}

const name = fc.oneof(
  fc.constantFrom(
    "direct",
    "weft",
    "nginx",
    "haproxy-64k",
    "@fastify/http-proxy",
    "W".repeat(60),
    "a peer with a long name and a version 1.2.3",
  ),
  fc.string({ minLength: 1, maxLength: 30 }),
);
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 14 });
/** From a microsecond to a minute, evenly by powers of ten. */
const latencyUs = fc.double({ min: 0, max: 7.78, noNaN: true }).map((power) => Math.round(10 ** power));
const what = fc.oneof(fc.constant("1000 requests/s over 16 connections"), fc.string({ maxLength: 200 }));

function paletteOf(all: readonly string[]): Palette {
  return new Palette(all.map((one, index) => ({ name: one, role: index === 0 ? "weft" : "peer" })));
}

test("curves of latency", () => {
  const samples = fc.array(latencyUs, { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(names, fc.array(samples, { minLength: 14, maxLength: 14 }), what, (all, latencies, title) => {
      const series = all.map((one, index) => ({ name: one, latency: distribution(latencies[index]!) }));
      check(latencyCurve("id", "Latency by percentile", title, series, paletteOf(all)));
    }),
    { numRuns: 60 },
  );
});

test("bars of CPU", () => {
  const bar = fc.record({
    totalUs: fc.double({ min: -2, max: 7, noNaN: true }).map((power) => 10 ** power),
    userShare: fc.double({ min: 0, max: 1, noNaN: true }),
    spread: fc.double({ min: 0, max: 0.9, noNaN: true }),
    ratio: fc.constantFrom("", "1.32 x nginx", "0.874 x haproxy-64k", "10300 x nginx"),
  });
  fc.assert(
    fc.property(names, fc.array(bar, { minLength: 14, maxLength: 14 }), what, (all, figures, title) => {
      const bars = all.map((one, index): CpuBar => {
        const { totalUs, userShare, spread, ratio } = figures[index]!;
        const middle = index % 3 === 0 ? null : { lowUs: totalUs * (1 - spread), highUs: totalUs * (1 + spread) };
        return { name: one, totalUs, userShare, ratio, middle };
      });
      check(cpuBars("id", "CPU per request", title, bars, paletteOf(all)));
    }),
    { numRuns: 200 },
  );
});

test("strips of latency over time", () => {
  const slice = fc.tuple(latencyUs, latencyUs).map(([a, b]) => ({ p50Us: Math.min(a, b), maxUs: Math.max(a, b) }));
  const rounds = fc.array(fc.array(slice, { maxLength: 30 }), { minLength: 1, maxLength: 12 });
  const length = fc.double({ min: 0, max: 6, noNaN: true }).map((power) => 10 ** power);
  fc.assert(
    fc.property(names, rounds, length, what, (all, slices, roundMs, title) => {
      const own = slices.map((round, index) => ({
        offsetMs: index * roundMs,
        slices: round.map((one, at) => ({ ...one, atMs: (at * roundMs) / 30 })),
      }));
      const ends = slices.map((_, index) => (index + 1) * roundMs);
      check(
        timeline(
          "id",
          title,
          all.map((one) => ({ name: one, rounds: own })),
          ends,
          paletteOf(all),
        ),
      );
    }),
    { numRuns: 150 },
  );
});

test("all pictures of a whole report, with few subjects and with many", () => {
  const more = Array.from({ length: 9 }, (_, i) => ({ name: `peer-number-${i}`, latencyUs: 100 * (i + 1), cpuUs: 20 + 30 * i }));
  for (const subjects of [SAMPLE_SUBJECTS, [...SAMPLE_SUBJECTS, ...more]]) {
    const charts = chartsOf(reportDocument(sampleResult({ subjects, scenarios: ["plain", "body-64k"] })));
    assert.equal(charts.length, 8);
    for (const chart of charts) check(chart);
    assert.equal(new Set(charts.map((chart) => chart.id)).size, charts.length);
  }
});

test("a text on another and one that leaves the picture are found", () => {
  const canvas = new Canvas(100);
  canvas.label("one", 10, 20);
  canvas.label("two", 20, 24);
  canvas.label("a rather long text", 60, 80);
  canvas.label("upright", 10, 60, { isUpright: true });
  assert.deepEqual(problems(canvas.finish("id", "t", "d", 100)), [
    "'one' lies on 'two'",
    "'one' lies on 'upright'",
    "'a rather long text' leaves the picture",
  ]);
});

test("a text is cut to its room and says so", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 80 }), fc.integer({ min: 40, max: 400 }), (text, width) => {
      const cut = fitted(text, 12, width);
      assert.ok(textWidth(cut, 12) <= width);
      assert.ok(cut === text || cut.endsWith("..."));
    }),
  );
});

test("a text that is broken into lines keeps all its words, unless the last line is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 20 }),
      fc.integer({ min: 120, max: 400 }),
      (parts, width) => {
        const text = parts.join(" ").replace(/\s+/g, " ").trim();
        const lines = wrapped(text, 12, width, 2);
        assert.ok(lines.length <= 2 && lines.every((line) => textWidth(line, 12) <= width));
        if (lines.join(" ") !== text) assert.ok(lines.at(-1)!.endsWith("..."));
      },
    ),
  );
});

test("ticks begin at or below the least figure, end at or above the greatest, and keep their distance", () => {
  const positive = fc.double({ min: -3, max: 5, noNaN: true }).map((power) => 10 ** power);
  fc.assert(
    fc.property(positive, positive, fc.integer({ min: 5, max: 40 }), (a, b, gap) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      const ticks = logTicks(from, to);
      assert.ok(ticks[0]! <= from * 1.00001 && ticks.at(-1)! >= to * 0.99999);
      const scale = logScale(ticks[0]!, ticks.at(-1)!, 0, 300);
      const shown = thinned(ticks, scale, gap).map(scale);
      assert.ok(shown.length > 0);
      for (let i = 1; i < shown.length; i++) assert.ok(shown[i]! - shown[i - 1]! >= gap - 1e-9);
      const linear = linearTicks(to, 5);
      assert.ok(linear[0] === 0 && linear.at(-1)! >= to * 0.99999 && linear.length <= 12);
    }),
  );
});

test("no two of fourteen subjects look alike: colour, dash or marker differs", () => {
  const all = Array.from({ length: 14 }, (_, index) => `peer ${index}`);
  const palette = new Palette([
    { name: "direct", role: "direct" },
    ...all.map((one, index) => ({ name: one, role: index === 0 ? ("weft" as const) : ("peer" as const) })),
  ]);
  const looks = ["direct", ...all].map((one) => `${lineClass(palette.of(one))} ${palette.of(one).marker}`);
  assert.equal(new Set(looks).size, looks.length);
});

/** Labels are what is read: none may be empty by accident. */
test("no label is empty", () => {
  const labels = chartsOf(reportDocument(sampleResult())).flatMap((chart): readonly Label[] => chart.labels);
  assert.ok(labels.length > 50);
  assert.deepEqual(
    labels.filter((label) => label.text.trim() === ""),
    [],
  );
});
