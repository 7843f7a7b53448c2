// Hosts of their own without a container engine: network namespaces joined by a veth pair, with programs in them.
//
// Needs root, iproute2 and setpriv. The project's folder is mounted at /mnt for what runs in a namespace, so that a user who may
// not walk the path to it (a clone below /root) can run the proxy all the same; that mount is seen by that process alone.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { waitUntil } from "../../support/wait.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const MOUNTED = "/mnt";
export const NODE = `${MOUNTED}/node_modules/.bin/node`;
export const WEFT = `${MOUNTED}/dist/cli/main.js`;
/** As whom a proxy runs: the user that `weft init` exempts. */
export const PROXY_UID = 2102;

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Namespace {
  readonly name: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(name: string) {
    this.name = name;
  }

  /** Throws with what `ip` says where there can be none: without root, or where the kernel refuses namespaces. */
  static create(label: string): Namespace {
    const name = `weft-${process.pid}-${label}`;
    must("ip", ["netns", "add", name]);
    const namespace = new Namespace(name);
    must("ip", ["-n", name, "link", "set", "lo", "up"]);
    return namespace;
  }

  /** Joins two of them by a wire; each end gets its addresses. */
  static join(a: Namespace, aAddresses: readonly string[], b: Namespace, bAddresses: readonly string[]): void {
    must("ip", ["link", "add", "eth0", "netns", a.name, "type", "veth", "peer", "name", "eth0", "netns", b.name]);
    for (const [{ name }, addresses] of [
      [a, aAddresses],
      [b, bAddresses],
    ] as const) {
      for (const address of addresses)
        must("ip", ["-n", name, "address", "add", address, "dev", "eth0", ...(address.includes(":") ? ["nodad"] : [])]);
      must("ip", ["-n", name, "link", "set", "eth0", "up"]);
    }
  }

  /** Runs a program to its end; at most 30 s. */
  run(...command: readonly string[]): Ran {
    const { status, stdout, stderr, error } = spawnSync("ip", this.#inside(command), { encoding: "utf8", timeout: 30_000 });
    if (error !== undefined) throw error;
    return { code: status, stdout, stderr };
  }

  /** The same without holding up this process, which may be the one that answers. */
  async runAsync(...command: readonly string[]): Promise<Ran> {
    const child = this.start({}, command);
    let stdout = "";
    let stderr = "";
    child.stdout!.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")));
    child.stderr!.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { code, stdout, stderr };
  }

  /** Starts a program, as root or as another user; `destroy` ends it. */
  start(environment: Readonly<Record<string, string>>, command: readonly string[], uid = 0): ChildProcess {
    const user = uid === 0 ? [] : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
    const child = spawn("ip", this.#inside([...user, ...command]), {
      cwd: "/",
      env: { ...process.env, NODE_OPTIONS: "", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** `ip netns exec` and the mount become the program: its process id is the child's. */
  #inside(command: readonly string[]): string[] {
    const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
    return ["netns", "exec", this.name, "sh", "-c", script, "sh", ROOT, MOUNTED, ...command];
  }

  async destroy(): Promise<void> {
    const left = [...this.#children];
    for (const child of left) child.kill("SIGKILL");
    await waitUntil("what ran in the namespace to end", () => this.#children.size === 0);
    must("ip", ["netns", "delete", this.name]);
  }
}

function must(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr.trim()}`);
}
