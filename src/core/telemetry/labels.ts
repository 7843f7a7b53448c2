// Label sets: their identity, their text in the exposition format, and what becomes of them over the cap.

/** Label names to values. Names are constants of ours and valid; values may be anything. */
export type Labels = Readonly<Record<string, string>>;

/** The value that stands for every label set over the cap. */
const OTHER = "other";

/** Labels whose values are few by nature: they keep their meaning over the cap, so that totals and success rates stay right. */
const KEPT_OVER_CAP: ReadonlySet<string> = new Set(["direction", "peer", "classification"]);

/** Identity of a series: the same whatever the order of the labels. Not for people. */
export function seriesKey(metric: string, labels: Labels): string {
  const names = Object.keys(labels).sort();
  let key = metric;
  for (const name of names) key += `\u0000${name}\u0000${labels[name]}`;
  return key;
}

/** The label set that takes the place of one over the cap. */
export function overflowLabels(labels: Labels): Labels {
  const folded: Record<string, string> = {};
  for (const [name, value] of Object.entries(labels)) folded[name] = KEPT_OVER_CAP.has(name) ? value : OTHER;
  return folded;
}

/** `a="1",b="2"` without braces, escaped as the Prometheus text format asks (backslash, quote, line feed). */
export function labelText(labels: Labels): string {
  let text = "";
  for (const [name, value] of Object.entries(labels)) {
    text += `${text === "" ? "" : ","}${name}="${escapeLabelValue(value)}"`;
  }
  return text;
}

function escapeLabelValue(value: string): string {
  return /[\\"\n]/.test(value) ? value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n") : value;
}
