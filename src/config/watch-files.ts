// Notices that files which a configuration names (certificates, keys) are no longer what was loaded.
//
// By looking every POLL_MS: such files are few, and they change by links into other folders (mounted volumes) that no watch on a
// folder would tell of. What counts as loaded is what the loader saw, so nothing between load and look is missed.

import { stat } from "node:fs/promises";
import type { SourceFile } from "./config-source.ts";

/** Between two looks. */
const POLL_MS = 1_000;
/** Files must have been the same for so long: a certificate and its key are written one after the other. */
const SETTLE_MS = 100;

export class FileWatch {
  readonly #onChange: () => void;
  #files: readonly SourceFile[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** What the last look found; "" while it is what was loaded. */
  #seen = "";

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Watches those that a configuration names from now on; none: nothing. Keeps no process alive. */
  set(files: readonly SourceFile[]): void {
    this.#files = files.filter(({ isNamed }) => isNamed === true);
    this.#seen = "";
    this.#schedule(POLL_MS);
  }

  close(): void {
    this.set([]);
  }

  #schedule(ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.#files.length === 0 ? null : setTimeout(() => void this.#look(), ms).unref();
  }

  async #look(): Promise<void> {
    const files = this.#files;
    const found = await Promise.all(files.map(({ path }) => timeOf(path)));
    if (files !== this.#files) return;
    const isLoaded = files.every(({ mtimeMs }, index) => mtimeMs === found[index]);
    const now = isLoaded ? "" : found.join(" ");
    const isSettled = now === this.#seen;
    this.#seen = now;
    if (now === "" || !isSettled) {
      this.#schedule(now === "" ? POLL_MS : SETTLE_MS);
      return;
    }
    // The load that follows says what to look for next; until then, that these were told.
    this.#files = files.map((file, index) => ({ ...file, mtimeMs: found[index]! }));
    this.#seen = "";
    this.#schedule(POLL_MS);
    this.#onChange();
  }
}

async function timeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.mtimeMs ?? 0;
}
