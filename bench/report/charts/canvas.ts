// A picture as shapes and labels with known boxes: what is drawn can be checked for overlaps without a browser.
//
// Text is measured by a table of widths that is on the generous side of the usual sans-serif fonts (DejaVu Sans is the widest of
// them), so that what fits here fits everywhere. Colours are classes: the style sheet (palette.ts) decides by light and dark.

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Label {
  readonly text: string;
  /** Of the anchor; y is the baseline. For upright text both turn with it: it runs upwards from there. */
  readonly x: number;
  readonly y: number;
  readonly anchor: "start" | "middle" | "end";
  readonly size: number;
  readonly className: string;
  /** Turned by 90 degrees to the left: the name of a vertical axis. */
  readonly isUpright: boolean;
}

export interface Chart {
  readonly kind: "chart";
  /** Unique in a report, usable as a file name. */
  readonly id: string;
  readonly title: string;
  /** For those who cannot see it. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly shapes: readonly string[];
  readonly labels: readonly Label[];
}

export const FONT_SIZE = 12;
export const TITLE_SIZE = 14;

const NARROW = new Set("iljtfrI.,:;'|!()[]/ \u00a0");
const BROAD = new Set("mwMW%@");

/** Width in units of the picture, rather too much than too little. */
export function textWidth(text: string, size: number): number {
  let ems = 0;
  for (const char of text) {
    if (NARROW.has(char)) ems += 0.42;
    else if (BROAD.has(char)) ems += 1;
    else ems += char >= "A" && char <= "Z" ? 0.74 : 0.645;
  }
  return ems * size;
}

/** The text, or as much of it as fits with an ellipsis. */
export function fitted(text: string, size: number, width: number): string {
  if (textWidth(text, size) <= width) return text;
  let kept = text;
  while (kept !== "" && textWidth(`${kept}...`, size) > width) kept = kept.slice(0, -1);
  return `${kept.trimEnd()}...`;
}

/** The text in at most so many lines, broken at spaces; what does not fit into the last is cut. */
export function wrapped(text: string, size: number, width: number, linesMax: number): string[] {
  const lines: string[] = [];
  let rest = text.trim();
  while (rest !== "") {
    if (lines.length === linesMax - 1 || textWidth(rest, size) <= width) return [...lines, fitted(rest, size, width)];
    let cut = rest.length;
    while (cut > 0 && textWidth(rest.slice(0, cut), size) > width) cut = rest.lastIndexOf(" ", cut - 1);
    // A single word that is too long has no place to break.
    if (cut <= 0) return [...lines, fitted(rest, size, width)];
    lines.push(rest.slice(0, cut));
    rest = rest.slice(cut).trimStart();
  }
  return lines;
}

export function labelBox(label: Label): Box {
  const width = textWidth(label.text, label.size);
  const before = label.anchor === "start" ? 0 : label.anchor === "middle" ? width / 2 : width;
  // Ascenders reach 0.8 of the size above the baseline, descenders 0.25 below.
  const [ascent, descent] = [0.8 * label.size, 0.25 * label.size];
  if (!label.isUpright) {
    return { left: label.x - before, right: label.x - before + width, top: label.y - ascent, bottom: label.y + descent };
  }
  return { left: label.x - ascent, right: label.x + descent, top: label.y + before - width, bottom: label.y + before };
}

/** Every text goes through here and is escaped once. */
export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** Two decimals: a hundredth of a unit is invisible, and files stay small. */
export function at(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Collects shapes (in drawing order) and labels (on top of them). */
export class Canvas {
  readonly width: number;
  readonly shapes: string[] = [];
  readonly labels: Label[] = [];

  constructor(width: number) {
    this.width = width;
  }

  line(x1: number, y1: number, x2: number, y2: number, className: string): void {
    this.shapes.push(`<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" class="${className}"/>`);
  }

  rect(box: Box, className: string): void {
    const [width, height] = [Math.max(0, box.right - box.left), Math.max(0, box.bottom - box.top)];
    this.shapes.push(`<rect x="${at(box.left)}" y="${at(box.top)}" width="${at(width)}" height="${at(height)}" class="${className}"/>`);
  }

  /** `M x y L x y ...` through the points; closed for areas. Nothing for fewer than two points. */
  path(points: readonly (readonly [number, number])[], className: string, isClosed = false): void {
    if (points.length < 2) return;
    const text = points.map(([x, y], index) => `${index === 0 ? "M" : "L"}${at(x)} ${at(y)}`).join("");
    this.shapes.push(`<path d="${text}${isClosed ? "Z" : ""}" class="${className}"/>`);
  }

  /** A marker of the given form: what tells lines apart where colours do not. */
  marker(form: number, x: number, y: number, className: string): void {
    this.shapes.push(`<path d="${markerPath(form, x, y)}" class="${className}"/>`);
  }

  label(text: string, x: number, y: number, more: Partial<Omit<Label, "text" | "x" | "y">> = {}): void {
    this.labels.push({ text, x, y, anchor: "start", size: FONT_SIZE, className: "t", isUpright: false, ...more });
  }

  finish(id: string, title: string, description: string, height: number): Chart {
    return { kind: "chart", id, title, description, width: this.width, height, shapes: this.shapes, labels: this.labels };
  }
}

const MARKER_SIZE = 3.6;

/** Circle, square, triangle, diamond, cross, triangle upside down. */
export const MARKER_FORMS = 6;

function markerPath(form: number, x: number, y: number): string {
  const r = MARKER_SIZE;
  const polygon = (points: readonly (readonly [number, number])[]): string =>
    `${points.map(([dx, dy], index) => `${index === 0 ? "M" : "L"}${at(x + dx * r)} ${at(y + dy * r)}`).join("")}Z`;
  switch (form % MARKER_FORMS) {
    case 0:
      return `M${at(x - r)} ${at(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
    case 1:
      return polygon([
        [-0.9, -0.9],
        [0.9, -0.9],
        [0.9, 0.9],
        [-0.9, 0.9],
      ]);
    case 2:
      return polygon([
        [0, -1.15],
        [1.1, 0.85],
        [-1.1, 0.85],
      ]);
    case 3:
      return polygon([
        [0, -1.25],
        [1.25, 0],
        [0, 1.25],
        [-1.25, 0],
      ]);
    case 4:
      return polygon([
        [-1.1, -0.4],
        [-0.4, -0.4],
        [-0.4, -1.1],
        [0.4, -1.1],
        [0.4, -0.4],
        [1.1, -0.4],
        [1.1, 0.4],
        [0.4, 0.4],
        [0.4, 1.1],
        [-0.4, 1.1],
        [-0.4, 0.4],
        [-1.1, 0.4],
      ]);
    default:
      return polygon([
        [0, 1.15],
        [1.1, -0.85],
        [-1.1, -0.85],
      ]);
  }
}
