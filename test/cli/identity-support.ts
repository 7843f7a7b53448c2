// What the tests of `weft identity` share: the built command as a process, the identity component as one, and folders in which everything is over.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openDataFolder, writeBundle } from "../../src/control/identity/data-folder.ts";
import { JoinTokens } from "../../src/control/identity/join-tokens.ts";
import { KeptAuthority } from "../../src/control/identity/kept-authority.ts";
import { DEFAULT_ROTATION } from "../../src/control/identity/token-maker.ts";
import { fingerprintOf } from "../../src/control/identity/x509.ts";
import { waitUntil } from "../support/wait.ts";

/** The built command line, as it is installed. */
const WEFT = fileURLToPath(new URL("../../bin/weft.mjs", import.meta.url));

const RUN_DEADLINE_MS = 60_000;
const DAY_MS = 86_400_000;

export const NAMES = { trustDomain: "cluster.local", controlNamespace: "weft" } as const;

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  readonly result: Promise<Result>;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

/** What a failed test has left running must not hold its file open. */
const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});
process.once("SIGTERM", () => process.exit(143));

/** Starts `weft` with these arguments. */
export function startWeft(args: readonly string[]): Running {
  const child = spawn(process.execPath, [WEFT, ...args], {
    env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  child.once("exit", () => children.delete(child));
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("utf8");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  const result = new Promise<Result>((resolve) => child.once("close", (code) => resolve({ code, stdout, stderr })));
  return { process: child, result, stdout: () => stdout, stderr: () => stderr };
}

/** Runs `weft` to its end. */
export async function weft(...args: readonly string[]): Promise<Result> {
  const running = startWeft(args);
  const timer = setTimeout(() => running.process.kill("SIGKILL"), RUN_DEADLINE_MS);
  const result = await running.result;
  clearTimeout(timer);
  return result;
}

/** The identity component as a process; resolves when it serves. */
export async function startComponent(data: string, listen: string, ...more: readonly string[]): Promise<Running> {
  const running = startWeft(["identity-controller", "--data", data, "--listen", listen, "--admin", "off", ...more]);
  await waitUntil(
    "the component to serve",
    () => {
      if (running.process.exitCode !== null) throw new Error(running.stderr());
      return running.stdout().includes("the identity component serves");
    },
    RUN_DEADLINE_MS,
  );
  return running;
}

export async function stopComponent(running: Running, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  running.process.kill(signal);
  await running.result;
}

export interface ExpiredToken {
  readonly name: string;
  readonly use?: "file" | "once";
}

/** A data folder as a component left it so many days ago, with tokens of that time in a folder of their own. */
export async function leaveFolder(
  parent: string,
  tokens: readonly ExpiredToken[],
  daysAgo = 400,
): Promise<{ readonly data: string; readonly tokens: string; readonly root: string }> {
  const data = join(parent, "data");
  const folder = join(parent, "tokens");
  const nowMs = (): number => Date.now() - daysAgo * DAY_MS;
  openDataFolder(data, {});
  const authority = await KeptAuthority.open({ folder: data, rotation: DEFAULT_ROTATION, log: () => {}, nowMs });
  writeBundle(data, authority.bundle);
  const roots = authority.bundle.roots.map(fingerprintOf);
  const maker = await JoinTokens.open(data, NAMES.trustDomain, nowMs);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const { name, use = "file" } of tokens) {
    const identity = { account: name, namespace: "shop", ...NAMES };
    writeFileSync(join(folder, `shop.${name}.token`), `${await maker.create({ identity, use, ttlS: 86_400, roots })}\n`, { mode: 0o600 });
  }
  return { data, tokens: folder, root: roots[0]! };
}
