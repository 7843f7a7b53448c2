// Can connections be redirected here? Tried as `weft init` does it, by `weft init` itself, in a network namespace that is made for it and gone
// with it: nothing of this host's rules is touched.
//
// Making one takes either the capability SYS_ADMIN or a kernel that gives everybody user namespaces; without both it is not known.

import { spawnSync } from "node:child_process";
import { kernelNumber } from "./pre-host.ts";
import type { Outcome } from "./run-checks.ts";

/** Loading kernel modules takes a moment. */
const TRIAL_MS = 30_000;

/** From here on the table of tracked connections is nearly full. */
const CONNTRACK_FULL = 0.9;
const CONNTRACK = "/proc/sys/net/netfilter/nf_conntrack_";

/** `unshare` (util-linux): as whoever this is, or as root of a user namespace of its own. */
const WAYS = [["--net"], ["--user", "--map-root-user", "--net"]] as const;

export function lookAtRules(): Outcome {
  const way = WAYS.find((options) => unshare(options, ["true"]).status === 0);
  if (way === undefined) {
    return { problem: ["it could not be tried: this user may not make a network namespace (try as root), or `unshare` is missing"] };
  }
  const trial = unshare(way, [process.execPath, process.argv[1]!, "init", "--ip-family", "ipv4"]);
  if (trial.status === 0) return { ok: true, note: trial.stdout.trim().replace(/^weft init: ipv4: .*\((.+)\)$/, "by $1") };
  const said = trial.stderr
    .trim()
    .split("\n")
    .map((line) => line.trim());
  return { problem: said.filter((line) => line !== "") };
}

function unshare(options: readonly string[], command: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr, error } = spawnSync("unshare", [...options, "--", ...command], { encoding: "utf8", timeout: TRIAL_MS });
  return error === undefined ? { status, stdout, stderr } : { status: null, stdout: "", stderr: error.message };
}

export function lookAtConntrack(): Outcome {
  const count = kernelNumber(`${CONNTRACK}count`);
  const max = kernelNumber(`${CONNTRACK}max`);
  // Not loaded, or not shown in this namespace: nothing is tracked yet.
  if (count === null || max === null || max === 0) return null;
  if (count < max * CONNTRACK_FULL) return { ok: true, note: `${count} of ${max}` };
  return { problem: [`${count} of ${max} entries are in use`] };
}
