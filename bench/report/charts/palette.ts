// Who has which colour, dash and marker, the same in every picture of a report; and the style sheet, for light and dark.
//
// The hues are those of Okabe and Ito, made darker on white and lighter on black until each stands out at 3:1; they stay apart for
// people who see fewer colours. Colour is never alone: each line also has a dash and a marker of its own. Weft is blue and
// thick, direct is grey; what Weft is compared with shares the rest.

import { MARKER_FORMS } from "./canvas.ts";

export interface SeriesStyle {
  /** Number of the colour: 0 direct, 1 Weft, 2 and more the others. */
  readonly color: number;
  readonly dash: number;
  readonly marker: number;
  readonly isEmphasised: boolean;
}

const LIGHT = ["#5f6670", "#0a5fc0", "#c24400", "#007a58", "#a13f88", "#a86a00", "#6b4a2b", "#6848b8", "#7a7400", "#b0213f"];
const DARK = ["#a3abb6", "#62b2ff", "#ff8f52", "#35cba0", "#e693cd", "#f2b83b", "#cda683", "#ad98f7", "#d8d250", "#ff7d93"];

/** Lengths of strokes and gaps; the first is a plain line. */
const DASHES = ["", "7 3", "2 2.5", "9 3 2 3", "5 2", "12 3", "3 2 3 6"];

const PEER_COLORS = LIGHT.length - 2;

/** Styles by name, in the order in which subjects first appear. */
export class Palette {
  readonly #styles = new Map<string, SeriesStyle>();
  #peers = 0;

  constructor(subjects: readonly { readonly name: string; readonly role: "direct" | "weft" | "peer" }[]) {
    for (const { name, role } of subjects) {
      if (this.#styles.has(name)) continue;
      if (role === "direct") this.#styles.set(name, { color: 0, dash: 2, marker: 4, isEmphasised: false });
      else if (role === "weft") this.#styles.set(name, { color: 1, dash: 0, marker: 0, isEmphasised: true });
      else this.#styles.set(name, this.#nextPeer());
    }
  }

  of(name: string): SeriesStyle {
    return this.#styles.get(name) ?? { color: 0, dash: 0, marker: 0, isEmphasised: false };
  }

  /** Colours come round after eight peers, dashes after six, markers after five: the next twins are far away. */
  #nextPeer(): SeriesStyle {
    const index = this.#peers++;
    return {
      color: 2 + (index % PEER_COLORS),
      dash: 1 + (index % (DASHES.length - 1)),
      marker: 1 + (index % (MARKER_FORMS - 1)),
      isEmphasised: false,
    };
  }
}

export function lineClass(style: SeriesStyle): string {
  return `l c${style.color} d${style.dash}${style.isEmphasised ? " e" : ""}`;
}

export function fillClass(style: SeriesStyle, strength: "full" | "half" | "faint"): string {
  return `f c${style.color} ${strength}`;
}

function variables(colors: readonly string[], paper: string, ink: string, faint: string, grid: string): string {
  const series = colors.map((color, index) => `--c${index}:${color}`);
  return [...series, `--paper:${paper}`, `--ink:${ink}`, `--faint:${faint}`, `--grid:${grid}`].join(";");
}

/** Variables on `scope`, light or as the reader's system has it; and the classes of the pictures. */
export function chartStyle(scope: string): string {
  const series = LIGHT.map((_, index) => `.c${index}{--c:var(--c${index})}`);
  const dashes = DASHES.map((dash, index) => (dash === "" ? "" : `.l.d${index}{stroke-dasharray:${dash}}`));
  return [
    `${scope}{${variables(LIGHT, "#ffffff", "#1c2025", "#565d66", "#dfe3e8")};color-scheme:light dark}`,
    `@media (prefers-color-scheme:dark){${scope}{${variables(DARK, "#14171c", "#e8eaed", "#a8b0ba", "#333a43")}}}`,
    "@media print{.chart .half{print-color-adjust:exact}}",
    ...series,
    ".chart text{fill:var(--ink);font-family:system-ui,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif}",
    ".chart .faint-text{fill:var(--faint)}.chart .strong{font-weight:600}",
    ".chart .grid{stroke:var(--grid);stroke-width:1}.chart .axis{stroke:var(--faint);stroke-width:1}",
    ".chart .l{fill:none;stroke:var(--c);stroke-width:1.6;stroke-linejoin:round}.chart .l.e{stroke-width:2.8}",
    ".chart .l.thin{stroke-width:1}.chart .whisker{stroke:var(--ink);stroke-width:1.2}",
    ".chart .f{fill:var(--c);stroke:none}.chart .half{fill-opacity:.5}.chart .faint{fill-opacity:.18}",
    ...dashes,
  ].join("\n");
}
