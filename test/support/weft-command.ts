// `weft` as its users run it: the built command, as a process, in a folder of its own.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const WEFT = fileURLToPath(new URL("../../bin/weft.mjs", import.meta.url));
const RUN_DEADLINE_MS = 60_000;

export interface WeftRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it to its end. `stdin` is all of its standard input. */
export async function runWeft(args: readonly string[], { cwd, stdin = "" }: { cwd: string; stdin?: string | Buffer }): Promise<WeftRun> {
  const child = spawn(process.execPath, [WEFT, ...args], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1" },
    timeout: RUN_DEADLINE_MS,
  });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  // A command that does not read its input closes it.
  child.stdin.on("error", () => {});
  child.stdin.end(stdin);
  const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  return { code, stdout: Buffer.concat(out).toString("utf8"), stderr: Buffer.concat(err).toString("utf8") };
}
