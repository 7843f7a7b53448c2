// Where a configuration comes from and what loading one answers. Types and precedence only; plain data, so that it crosses threads.

import type { Problem } from "./problem.ts";
import type { HostPort, ProxySnapshot } from "./snapshot.ts";

/** The environment variable that may hold the whole configuration, and how its text is called in messages. */
export const CONFIG_VARIABLE = "WEFT_CONFIG";

/** The environment variable that may hold the join token. */
export const TOKEN_VARIABLE = "WEFT_IDENTITY_TOKEN";

export interface ConfigSource {
  /** A file, or a folder whose *.yaml and *.yml files are read. Wins over `text`. */
  readonly path?: string | null;
  /** The YAML itself, from the environment. */
  readonly text?: string | null;
  /** What the text is called in messages; WEFT_CONFIG by default. */
  readonly label?: string;
  /** Selects one of several Proxy documents: `name` or `namespace/name`. */
  readonly proxyName?: string | null;
  /** Command line options that stand above the file, on every reload. `null`: off. */
  readonly overrides?: ConfigOverrides;
}

export interface ConfigOverrides {
  readonly workers?: number | "auto";
  readonly admin?: HostPort | null;
}

/** A file that was read or looked for. */
export interface SourceFile {
  readonly path: string;
  /** Milliseconds since 1970; 0 where there is no file. */
  readonly mtimeMs: number;
  /** A document names it (a certificate): it is no part of the source itself. */
  readonly isNamed?: true;
}

export interface LoadSuccess {
  /** Deeply frozen by `loadConfig` and by `loadInWorker` alike. */
  readonly snapshot: ProxySnapshot;
  readonly warnings: readonly Problem[];
  readonly files: readonly SourceFile[];
}

export interface LoadFailure {
  /** At least one error; warnings too. */
  readonly problems: readonly Problem[];
  readonly files: readonly SourceFile[];
}

export type LoadResult = LoadSuccess | LoadFailure;

/** The source that the command line and the environment mean together; `null` when there is none. */
export function chooseSource(path: string | null, environment: Readonly<Record<string, string | undefined>>): ConfigSource | null {
  if (path !== null) return { path };
  const text = environment[CONFIG_VARIABLE];
  return text === undefined || text.trim() === "" ? null : { text };
}
