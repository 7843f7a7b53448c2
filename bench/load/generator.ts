// The open-loop generator as seen from the benchmark: a child that stays warm from run to run.

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { OpenLoopResult, OpenLoopRun } from "./open-loop-protocol.ts";

const SCRIPT = fileURLToPath(new URL("./open-loop.ts", import.meta.url));

export class Generator {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(SCRIPT, [], { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] });
    process.once("exit", () => this.#child.kill("SIGKILL"));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** One run; the next may start when it has resolved. */
  run(run: OpenLoopRun): Promise<OpenLoopResult> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void => reject(new Error(`the load generator ended with ${code}`));
      this.#child.once("exit", onExit);
      this.#child.once("message", (answer: OpenLoopResult | { failed: string }) => {
        this.#child.off("exit", onExit);
        if ("failed" in answer) reject(new Error(answer.failed));
        else resolve(answer);
      });
      this.#child.send(run);
    });
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
