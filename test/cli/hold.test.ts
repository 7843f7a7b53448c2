// `weft hold` as a process: it costs next to nothing, and ends at once and cleanly when it is told to.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { waitUntil } from "../support/wait.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** Bytes that the process has for itself. */
function privateBytes(pid: number): number {
  const match = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  return Number(match?.[1] ?? Number.NaN) * 1024;
}

/** False, too, for one that has ended and waits for somebody to ask how. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

describe("weft hold", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`waits, small and silent, and ends with 0 on ${signal}`, async () => {
      // A group of its own: what the shell waits for ends with it.
      const child = spawn(process.execPath, [MAIN, "hold"], {
        env: { ...process.env, NODE_OPTIONS: "" },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      try {
        let said = "";
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
        const sleeper = await waitUntil("it to be a shell that sleeps", () => {
          assert.equal(child.exitCode, null, said);
          const { pid } = child;
          const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
          return children !== "" && readFileSync(`/proc/${children}/comm`, "latin1") === "sleep\n" && Number(children);
        });
        assert.ok(privateBytes(child.pid!) < 4 * 1024 * 1024, `${privateBytes(child.pid!)} bytes`);
        child.kill(signal);
        const [code, endedBy] = (await once(child, "exit")) as [number | null, string | null];
        assert.deepEqual([code, endedBy], [0, null]);
        await waitUntil("the shell's sleeper to be gone", () => !isRunning(sleeper));
        assert.equal(said, "weft hold: the network namespace is here until SIGTERM\n");
      } finally {
        if (child.exitCode === null) process.kill(-child.pid!, "SIGKILL");
      }
    });
  }
});
