// Notices that a configuration on disk has changed: a file that is written or replaced, a folder, links that are swapped.
//
// Two ways at once. The folder is watched, which tells within milliseconds and sees editors that rename and Kubernetes
// volumes that swap their `..data` link; and what the files are is compared every POLL_MS, for file systems that tell
// nothing and links into other folders. The callback comes when the files have been the same twice, so not in the middle of
// a write. Begin to watch before the first load: then nothing is missed between the two.

import { readdirSync, statSync, watch } from "node:fs";
import type { FSWatcher, Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Between two looks when nobody tells. */
const POLL_MS = 1_000;
/** A folder of many files is looked at less often: so much more per file. */
const POLL_MS_PER_FILE = 10;
/** The files must have been the same for so long. */
const SETTLE_MS = 50;
/** A file that never comes to rest is loaded all the same after so many looks. */
const SETTLE_LOOKS_MAX = 20;

export interface ConfigWatch {
  /** No callback comes after it. */
  close(): void;
}

/** Calls back after each change of the file or folder, also when it appears or disappears. Keeps no process alive. */
export function watchConfig(path: string, onChange: () => void): ConfigWatch {
  const watcher = new Watcher(path, onChange);
  return { close: () => watcher.close() };
}

class Watcher implements ConfigWatch {
  readonly #path: string;
  readonly #onChange: () => void;
  /** What the files were when the callback was last called. */
  #reported: string;
  #fileCount: number;
  #timer: NodeJS.Timeout | null = null;
  #isLooking = false;
  /** Something happened while a look was under way. */
  #isStale = false;
  #isClosed = false;
  #folder: FSWatcher | null = null;
  #watchedFolder = "";

  constructor(path: string, onChange: () => void) {
    this.#path = path;
    this.#onChange = onChange;
    const lines = describeNow(path);
    this.#reported = lines.join("\n");
    this.#fileCount = lines.length;
    this.#watchFolder();
    this.#schedule(this.#pollMs);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#folder?.close();
    this.#folder = null;
  }

  get #pollMs(): number {
    return POLL_MS + POLL_MS_PER_FILE * this.#fileCount;
  }

  #schedule(ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.#isClosed ? null : setTimeout(() => void this.#look(), ms).unref();
  }

  async #look(): Promise<void> {
    this.#timer = null;
    this.#isLooking = true;
    this.#isStale = false;
    const lines = await this.#settle();
    this.#isLooking = false;
    if (this.#isClosed) return;
    this.#watchFolder();
    const now = lines.join("\n");
    const hasChanged = now !== this.#reported;
    this.#reported = now;
    this.#fileCount = lines.length;
    this.#schedule(this.#isStale ? SETTLE_MS : this.#pollMs);
    if (hasChanged) this.#onChange();
  }

  /** What the files are, once that is the same as a moment before; at once while it is what was reported. */
  async #settle(): Promise<string[]> {
    let lines = await describe(this.#path);
    for (let look = 0; look < SETTLE_LOOKS_MAX && !this.#isClosed && lines.join("\n") !== this.#reported; look++) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS).unref());
      const again = await describe(this.#path);
      if (again.join("\n") === lines.join("\n")) return again;
      lines = again;
    }
    return lines;
  }

  /** Watches the folder, or that of the file; again when another one has taken its place. */
  #watchFolder(): void {
    const isFolder = isDirectory(this.#path);
    const folder = isFolder ? this.#path : dirname(this.#path);
    const identity = describeFile(folder, statNow(folder), false);
    if (identity === this.#watchedFolder) return;
    this.#folder?.close();
    this.#folder = null;
    this.#watchedFolder = identity;
    try {
      const name = isFolder ? null : basename(this.#path);
      this.#folder = watch(folder, { persistent: false }, (_event, changed) => {
        if (name === null || changed === null || changed === name || changed.startsWith("..")) this.#touch();
      });
      this.#folder.on("error", () => {
        this.#watchedFolder = "";
      });
    } catch {
      // No watches left, or a file system without them: the comparison finds it a second later.
      this.#watchedFolder = "";
    }
  }

  #touch(): void {
    if (this.#isLooking) this.#isStale = true;
    else this.#schedule(SETTLE_MS);
  }
}

function describeFile(path: string, found: Stats | null, withTimes: boolean): string {
  if (found === null) return `${path} -`;
  const identity = `${path} ${found.dev}:${found.ino}`;
  return withTimes ? `${identity} ${found.size} ${found.mtimeMs} ${found.ctimeMs}` : identity;
}

/** One line per file that a load would read. */
async function describe(path: string): Promise<string[]> {
  const names = await readdir(path).catch(() => null);
  const paths = names === null ? [path] : yamlPaths(path, names);
  return Promise.all(paths.map(async (file) => describeFile(file, await stat(file).catch(() => null), true)));
}

function describeNow(path: string): string[] {
  const paths = isDirectory(path) ? yamlPaths(path, readdirSync(path)) : [path];
  return paths.map((file) => describeFile(file, statNow(file), true));
}

function yamlPaths(folder: string, names: readonly string[]): string[] {
  return names
    .filter((name) => /\.ya?ml$/.test(name) && !name.startsWith("."))
    .sort()
    .map((name) => join(folder, name));
}

function statNow(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    // Not there, or not for us: either way nothing that could be loaded.
    return null;
  }
}

function isDirectory(path: string): boolean {
  return statNow(path)?.isDirectory() ?? false;
}
