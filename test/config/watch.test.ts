// The watch on a file or folder: every way in which people and machines change a configuration.

import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type ConfigWatch, watchConfig } from "../../src/config/watch.ts";

/** A change is told within a poll and its settling; a busy machine may need more. */
const DEADLINE_MS = 15_000;

let folder = "";
let watches: ConfigWatch[] = [];
// The watch keeps no process alive, and so must the test.
let alive: NodeJS.Timeout;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-watch-"));
  watches = [];
  alive = setInterval(() => undefined, 1000);
});
afterEach(() => {
  clearInterval(alive);
  for (const watch of watches) watch.close();
  rmSync(folder, { recursive: true });
});

/** Counts the callbacks; `next` resolves at the first one that was not waited for yet. */
class Changes {
  count = 0;
  #seen = 0;
  #wake: () => void = () => undefined;

  constructor(path: string) {
    watches.push(
      watchConfig(path, () => {
        this.count++;
        this.#wake();
      }),
    );
  }

  async next(): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS;
    while (this.count <= this.#seen) {
      const left = deadline - performance.now();
      assert.ok(left > 0, "no change was told");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, left).unref();
      });
    }
    this.#seen = this.count;
  }
}

test("a file that is written is told", async () => {
  const path = join(folder, "weft.yaml");
  writeFileSync(path, "a");
  const changes = new Changes(path);
  writeFileSync(path, "ab");
  await changes.next();
  writeFileSync(path, "ba");
  await changes.next();
});

test("a file that an editor replaces is told", async () => {
  const path = join(folder, "weft.yaml");
  writeFileSync(path, "a");
  const changes = new Changes(path);
  for (const text of ["b", "c"]) {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
    await changes.next();
  }
});

test("a file that goes and comes back is told both times", async () => {
  const path = join(folder, "weft.yaml");
  writeFileSync(path, "a");
  const changes = new Changes(path);
  unlinkSync(path);
  await changes.next();
  writeFileSync(path, "a");
  await changes.next();
});

test("a link that is swapped below the file is told, as Kubernetes does it", async () => {
  mkdirSync(join(folder, "..1"));
  mkdirSync(join(folder, "..2"));
  writeFileSync(join(folder, "..1/weft.yaml"), "a");
  writeFileSync(join(folder, "..2/weft.yaml"), "b");
  symlinkSync("..1", join(folder, "..data"));
  symlinkSync("..data/weft.yaml", join(folder, "weft.yaml"));
  const file = new Changes(join(folder, "weft.yaml"));
  const all = new Changes(folder);
  symlinkSync("..2", join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  await Promise.all([file.next(), all.next()]);
});

test("a link into another folder is told by comparison", async () => {
  mkdirSync(join(folder, "far"));
  mkdirSync(join(folder, "near"));
  writeFileSync(join(folder, "far/weft.yaml"), "a");
  symlinkSync("../far/weft.yaml", join(folder, "near/weft.yaml"));
  const changes = new Changes(join(folder, "near/weft.yaml"));
  writeFileSync(join(folder, "far/weft.yaml"), "bb");
  await changes.next();
});

test("in a folder, files that come, change and go are told", async () => {
  const changes = new Changes(folder);
  writeFileSync(join(folder, "a.yaml"), "a");
  await changes.next();
  appendFileSync(join(folder, "a.yaml"), "b");
  await changes.next();
  unlinkSync(join(folder, "a.yaml"));
  await changes.next();
});

test("a folder that is replaced is watched on", async () => {
  const path = join(folder, "conf");
  mkdirSync(path);
  const changes = new Changes(path);
  mkdirSync(join(folder, "next"));
  writeFileSync(join(folder, "next/a.yaml"), "a");
  renameSync(path, join(folder, "old"));
  renameSync(join(folder, "next"), path);
  await changes.next();
  appendFileSync(join(path, "a.yaml"), "b");
  await changes.next();
});

test("a path that is not there yet is told when it comes", async () => {
  const changes = new Changes(join(folder, "later/weft.yaml"));
  mkdirSync(join(folder, "later"));
  writeFileSync(join(folder, "later/weft.yaml"), "a");
  await changes.next();
});

test("a file that is written in pieces is told once, when it rests", async () => {
  const path = join(folder, "weft.yaml");
  writeFileSync(path, "");
  const changes = new Changes(path);
  for (let piece = 0; piece < 10; piece++) {
    appendFileSync(path, "x");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await changes.next();
  // A later change of another kind shows that nothing is pending from before.
  unlinkSync(path);
  await changes.next();
  assert.equal(changes.count, 2);
});

test("other files of the folder are none of its business", async () => {
  const path = join(folder, "weft.yaml");
  writeFileSync(path, "a");
  const changes = new Changes(path);
  for (let i = 0; i < 20; i++) writeFileSync(join(folder, `other-${i}`), "x");
  writeFileSync(path, "b");
  await changes.next();
  assert.equal(changes.count, 1);
});

test("after close nothing is told", async () => {
  const path = join(folder, "weft.yaml");
  writeFileSync(path, "a");
  const closed = new Changes(path);
  watches[0]?.close();
  const open = new Changes(path);
  writeFileSync(path, "b");
  await open.next();
  assert.equal(closed.count, 0);
});
