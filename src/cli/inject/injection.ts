// What every kind of injector takes and gives: `inject(source, options)` and `uninject(source)`, text in and text out.
//
// Injectors read no clock and write no files (tokens are made afterwards, by the command, for the `workloads` that they name), and give either
// the whole output, checked, or none.

import type { Problem } from "../../config/problem.ts";

/** One input. */
export interface Source {
  /** As the user named it; `standard input` for `-`. */
  readonly file: string;
  readonly text: string;
}

export interface InjectOptions {
  readonly namespace: string;
  readonly trustDomain: string;
  readonly image: string;
  /** Values for `config.linkerd.io/NAME`, by NAME, of workloads that say nothing else. */
  readonly defaults: ReadonlyMap<string, string>;
  /** Where Weft keeps its own on this machine, as compose files name it: `./.weft`. */
  readonly folder: string;
  /** The group that may read what is there; null: the files belong to the proxies' own user. */
  readonly tokenGroup: number | null;
}

/** What became of one workload: `service "web" injected`. */
export interface Outcome {
  /** `service "web"`, `deployment/web`. */
  readonly workload: string;
  readonly what: "injected" | "uninjected" | "skipped";
  /** Why it was skipped. */
  readonly reason: string | null;
}

export interface TokenWorkload {
  readonly name: string;
  /** The user as whom its proxy runs, and reads the token. */
  readonly uid: number;
}

export interface Injection {
  /** The whole output; null when there is none, because of an error or because nothing could be done. */
  readonly text: string | null;
  readonly outcomes: readonly Outcome[];
  readonly problems: readonly Problem[];
  /** Workloads that join the mesh by a token file: `<folder>/tokens/<namespace>.<name>.token`. */
  readonly workloads: readonly TokenWorkload[];
  /** Lines for people beside those. */
  readonly notes: readonly string[];
}

/** No output, because of what is wrong. */
export function refused(problems: readonly Problem[], outcomes: readonly Outcome[] = []): Injection {
  return { text: null, outcomes, problems, workloads: [], notes: [] };
}

/** The text as it came, because nothing has to be done. */
export function unchanged(source: Source, outcomes: readonly Outcome[], problems: readonly Problem[] = []): Injection {
  return { text: source.text, outcomes, problems, workloads: [], notes: [] };
}
