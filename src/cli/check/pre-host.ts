// Checks of this host: its kernel, free ports, descriptors, and a folder to write to.

import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs";
import { createServer } from "node:net";
import { platform, release } from "node:os";
import { join } from "node:path";
import { readOr } from "../init/tables.ts";
import { failureOf, type Outcome, PASSED } from "./run-checks.ts";

/** accept4, SO_ORIGINAL_DST and nf_tables' nat of both families are older; this is what the oldest distributions in use have. */
const KERNEL_MIN = [4, 18] as const;

/** Two per connection, for the default of `connectionsMax`. */
const DESCRIPTORS_WANTED = 20_000;
const DESCRIPTORS_MIN = 1_024;

/** Processes whose descriptors are searched for a port's owner. */
const PROCESSES_MAX = 20_000;

const FOLDER = ".weft";
/** LISTEN, in /proc/net/tcp. */
const LISTEN = "0A";

export function lookAtKernel(): Outcome {
  if (platform() !== "linux") return { problem: [`this is ${platform()}: proxies run on Linux only`] };
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const isNew = major > KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor >= KERNEL_MIN[1]);
  return isNew
    ? { ok: true, note: release() }
    : { problem: [`this is Linux ${release()}; ${KERNEL_MIN.join(".")} is the oldest that is known to do`] };
}

/** Each port is listened on for a moment, on every address. */
export async function lookAtPorts(ports: readonly number[]): Promise<Outcome> {
  const lines: string[] = [];
  for (const port of ports) {
    const code = await listenError(port);
    if (code === "EADDRINUSE") lines.push(`port ${port} is taken${ownerOf(port)}`);
    else if (code === "EACCES") lines.push(`this user may not listen on port ${port}`);
    else if (code !== null) lines.push(`port ${port} cannot be listened on: ${code}`);
  }
  return lines.length > 0 ? failureOf(lines) : { ok: true, note: ports.join(", ") };
}

async function listenError(port: number): Promise<string | null> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: "0.0.0.0", port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** ` by node (process 123)`, as far as this user can see it. */
function ownerOf(port: number): string {
  const inodes = new Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => listeningInodes(readOr(path, ""), port)));
  if (inodes.size === 0) return "";
  for (const pid of namesIn("/proc")
    .filter((name) => /^\d+$/.test(name))
    .slice(0, PROCESSES_MAX)) {
    const isOwner = namesIn(`/proc/${pid}/fd`).some((fd) => inodes.has(targetOf(`/proc/${pid}/fd/${fd}`)));
    if (isOwner) return ` by ${readOr(`/proc/${pid}/comm`, "?").trim()} (process ${pid})`;
  }
  return "";
}

/** Of /proc/net/tcp: `socket:[12345]` of those that listen on the port. */
function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    return local.endsWith(suffix) && state === LISTEN ? [`socket:[${inode}]`] : [];
  });
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Node has raised the soft limit to the hard one when it started: what is read is what a proxy gets. */
export function lookAtDescriptors(): Outcome {
  const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readOr("/proc/self/limits", ""))?.[1];
  if (limit === undefined) return null;
  const count = limit === "unlimited" ? Number.POSITIVE_INFINITY : Number(limit);
  if (count >= DESCRIPTORS_WANTED) return { ok: true, note: limit };
  return failureOf(
    [`the limit is ${limit}, which is some ${Math.floor(count / 2)} connections`],
    count < DESCRIPTORS_MIN ? "error" : "warning",
  );
}

/** Makes a folder there for a moment. */
export function lookAtFolder(cwd: string): Outcome {
  const path = join(cwd, FOLDER);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isDirectory()) return { problem: [`${path} is no folder`] };
  try {
    rmdirSync(mkdtempSync(join(stat === undefined ? cwd : path, ".weft-check-")));
    return PASSED;
  } catch (error) {
    return { problem: [`nothing can be written in ${stat === undefined ? cwd : path}: ${(error as NodeJS.ErrnoException).code}`] };
  }
}

/** A number that the kernel tells in a file of its own; null where there is none. */
export function kernelNumber(path: string): number | null {
  try {
    const value = Number(readFileSync(path, "latin1").trim());
    return Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}
