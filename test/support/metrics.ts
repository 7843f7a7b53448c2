// What /metrics says, as numbers: Prometheus' text format read just well enough to ask it questions.

export type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

export class Metrics {
  readonly samples: readonly Sample[];

  constructor(exposition: string) {
    this.samples = exposition.split("\n").flatMap((line) => (line === "" || line.startsWith("#") ? [] : [parseSample(line)]));
  }

  /** Sum over the samples of that name whose labels include these; 0 without any. */
  sum(name: string, labels: Labels = {}): number {
    return this.#matching(name, labels).reduce((sum, sample) => sum + sample.value, 0);
  }

  has(name: string, labels: Labels = {}): boolean {
    return this.#matching(name, labels).length > 0;
  }

  #matching(name: string, labels: Labels): Sample[] {
    const wanted = Object.entries(labels);
    return this.samples.filter((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value));
  }
}

function parseSample(line: string): Sample {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (match === null) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  for (const [, key, value] of (match[2] ?? "").matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)) labels[key!] = value!;
  return { name: match[1]!, labels, value: Number(match[3]!.replace("+Inf", "Infinity")) };
}
