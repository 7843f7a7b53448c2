// The lock of a data folder whose last holder was killed, and several who want it at once: one gets it.
//
// Story: each of two found the dead one's lock and removed it, the second one by then that of the first: two authorities with one folder.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { lockFolder } from "../../../src/control/identity/data-lock.ts";
import { removeFolder, temporaryFolder } from "../../support/temporary-folder.ts";

const PROCESSES = 6;
const ROUNDS = 6;

const MODULE = new URL("../../../src/control/identity/data-lock.ts", import.meta.url).href;
/** Says that it is ready, takes the lock at the next line, says whether it has it, and ends with its input. */
const TAKER = `
  const { lockFolder } = await import(${JSON.stringify(MODULE)});
  process.stdin.once("data", async () => console.log((await lockFolder(".")) === null ? "none" : "mine"));
  process.stdin.once("end", () => process.exit());
  console.log("ready");
`;

let folder: string;
before(() => {
  folder = temporaryFolder("weft-lock-");
});
after(() => removeFolder(folder));

/** Processes in the folder, and what each says next. */
class Takers {
  readonly #children: ReturnType<typeof spawn>[] = [];

  constructor(count: number) {
    for (let i = 0; i < count; i++) {
      const args = ["--input-type=module", "-e", TAKER];
      this.#children.push(spawn(process.execPath, args, { cwd: folder, env: { ...process.env, NODE_OPTIONS: "" } }));
    }
  }

  async say(): Promise<string[]> {
    return await Promise.all(this.#children.map(async ({ stdout }) => String((await once(stdout!, "data"))[0]).trim()));
  }

  take(): void {
    for (const { stdin } of this.#children) stdin!.write("now\n");
  }

  async kill(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#children.map(async (child) => child.exitCode ?? child.signalCode ?? (await once(child, "exit"))));
  }
}

test("of several that want the folder of one that was killed, one gets it", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const takers = new Takers(PROCESSES);
    try {
      assert.ok((await takers.say()).every((text) => text === "ready"));
      if (round > 0) assert.ok(existsSync(join(folder, "lock.sock")), "the one before has left its lock");
      const said = takers.say();
      takers.take();
      const have = (await said).filter((text) => text === "mine").length;
      assert.equal(have, 1, `round ${round}: ${have} have it`);
      assert.equal(await lockFolder(folder), null);
    } finally {
      await takers.kill();
    }
  }
});

test("a lock that somebody has moved out of the way by mistake, and was killed then, is one until its process ends", async () => {
  const unlock = await lockFolder(folder);
  assert.ok(unlock);
  renameSync(join(folder, "lock.sock"), join(folder, "lock.old"));
  assert.equal(await lockFolder(folder), null);
  assert.equal(existsSync(join(folder, "lock.sock")), false);
  await unlock();
  const again = await lockFolder(folder);
  assert.ok(again);
  await again();
});
