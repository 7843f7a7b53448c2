// `weft` as its users run it: the built command, as a process, in a folder of its own.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const WEFT: string = fileURLToPath(new URL("../../bin/weft.mjs", import.meta.url));
const RUN_DEADLINE_MS = 60_000;

export interface WeftRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface WeftOptions {
  readonly cwd: string;
  /** All of its standard input. */
  readonly stdin?: string | Buffer;
  /** Number of another user and group, for tests that run as root. */
  readonly user?: number;
}

/** Runs it to its end. */
export async function runWeft(args: readonly string[], { cwd, stdin = "", user }: WeftOptions): Promise<WeftRun> {
  const child = spawn(process.execPath, [WEFT, ...args], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1" },
    timeout: RUN_DEADLINE_MS,
    ...(user !== undefined && { uid: user, gid: user }),
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
