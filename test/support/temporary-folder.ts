// Folders of tests below the machine's temporary folder. Whatever becomes of a test, they are gone when its process has ended.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders = new Set<string>();
let isToBeRemoved = false;

/** A new folder. `prefix`: what it is for, should one be left after all. */
export function temporaryFolder(prefix: string): string {
  // Not before the first: listeners that end processes are there by then, and go first.
  if (!isToBeRemoved) process.once("exit", removeAll);
  isToBeRemoved = true;
  const folder = mkdtempSync(join(tmpdir(), prefix));
  folders.add(folder);
  return folder;
}

/** Removes one before the end. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

function removeAll(): void {
  for (const folder of folders) {
    try {
      removeFolder(folder);
    } catch {
      // A process that has just been killed may still have written something.
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    }
  }
}

// A test file that takes too long gets it.
process.once("SIGTERM", () => process.exit(143));
