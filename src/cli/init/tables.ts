// The iptables programs of this machine: which of them has the rules, and what their errors mean.
//
// Two kinds can be there at once, one on nf_tables and an older one on the tables of their own; both work, and rules of one are not
// seen by the other. The one that has rules of ours is used, else the one in which others have rules (a container engine's), else
// the newer one if the kernel can do it. The older one is not even asked while the kernel has none of its tables, because asking
// would make them.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { type Family, hasOurChains, hasRules } from "./rules.ts";

export type Mode = "nft" | "legacy" | "plain";

/** Another process may hold the lock of the older tables; seconds. */
const LOCK_WAIT_S = 10;

const PREFIX: Readonly<Record<Family, string>> = { ipv4: "iptables", ipv6: "ip6tables" };
const INFIX: Readonly<Record<Mode, string>> = { nft: "-nft", legacy: "-legacy", plain: "" };
/** Names of the older tables that are in use here. */
const LEGACY_TABLES: Readonly<Record<Family, string>> = { ipv4: "/proc/net/ip_tables_names", ipv6: "/proc/net/ip6_tables_names" };

export interface Tables {
  readonly family: Family;
  readonly mode: Mode;
  /** What `iptables-save -t nat` said. */
  readonly saved: string;
}

/** What went wrong, and what to do. */
export class TablesError extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** `iptables-nft-restore --noflush`, as a person would type it. */
export function restoreCommand(family: Family, mode: Mode): string[] {
  return [`${PREFIX[family]}${INFIX[mode]}-restore`, "--noflush", "--wait", String(LOCK_WAIT_S)];
}

/** The tables to use. Throws a TablesError when there are none. */
export function chooseTables(family: Family, wanted: Mode | "auto"): Tables {
  if (wanted !== "auto") return open(family, wanted);
  const errors: TablesError[] = [];
  const found: Tables[] = [];
  for (const mode of usableModes(family)) {
    try {
      found.push(open(family, mode));
    } catch (error) {
      if (!(error instanceof TablesError)) throw error;
      errors.push(error);
    }
  }
  const best = found.find(({ saved }) => hasOurChains(saved)) ?? found.find(({ saved }) => hasRules(saved)) ?? found[0];
  if (best !== undefined) return best;
  // The most telling one: that a program is missing says least.
  throw errors.find(({ message }) => !message.includes("is not installed")) ?? errors[0]!;
}

/** Every table that has rules of ours. */
export function tablesWithOurChains(family: Family, wanted: Mode | "auto"): Tables[] {
  const modes: readonly Mode[] = wanted === "auto" ? usableModes(family) : [wanted];
  return modes.flatMap((mode) => {
    try {
      const tables = open(family, mode);
      return hasOurChains(tables.saved) ? [tables] : [];
    } catch (error) {
      if (error instanceof TablesError) return [];
      throw error;
    }
  });
}

/** In the order of preference. */
function usableModes(family: Family): Mode[] {
  const isLegacyUsed = readOr(LEGACY_TABLES[family], "").split("\n").includes("nat");
  const hasBoth = isInstalled(family, "nft") && isInstalled(family, "legacy");
  if (!hasBoth) return (["nft", "legacy", "plain"] as const).filter((mode) => isInstalled(family, mode) || mode === "plain");
  if (isLegacyUsed) return ["nft", "legacy"];
  return canRun(family, "nft") ? ["nft"] : ["legacy"];
}

function isInstalled(family: Family, mode: Mode): boolean {
  return spawnSync(saveProgram(family, mode), ["--version"], { stdio: "ignore" }).error === undefined;
}

function canRun(family: Family, mode: Mode): boolean {
  return spawnSync(saveProgram(family, mode), ["-t", "nat"], { stdio: "ignore" }).status === 0;
}

function saveProgram(family: Family, mode: Mode): string {
  return `${PREFIX[family]}${INFIX[mode]}-save`;
}

function open(family: Family, mode: Mode): Tables {
  return { family, mode, saved: run([saveProgram(family, mode), "-t", "nat"], "") };
}

/** Gives a script to iptables-restore: all of it is done, or nothing. Throws a TablesError. */
export function restore({ family, mode }: Pick<Tables, "family" | "mode">, script: string): void {
  run(restoreCommand(family, mode), script);
}

function run([program = "", ...args]: readonly string[], input: string): string {
  const { error, status, signal, stdout, stderr } = spawnSync(program, args, { input, encoding: "utf8" });
  if (error !== undefined) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (isMissing) throw new TablesError(`${program} is not installed`, "install the package iptables, or run this in Weft's image");
    throw new TablesError(`${program}: ${error.message}`, "try it by hand");
  }
  if (status === 0) return stdout;
  const said = stderr.trim().replace(/\s*\n\s*/g, "; ");
  throw new TablesError(`${program} ${args.join(" ")} ended with ${signal ?? status}: ${said}`, hintFor(said));
}

/** What the programs and the kernel say when something is missing. */
function hintFor(said: string): string {
  if (/permission denied|not permitted|must be root/i.test(said)) return PRIVILEGE_HINT;
  if (/table does not exist|insmod|can't initialize|could not fetch rule set|protocol not supported|no chain\/target\/match/i.test(said))
    return "the kernel lacks a module: nf_nat, nf_tables (or iptable_nat, ip6table_nat), xt_REDIRECT, xt_owner, xt_multiport and xt_addrtype are needed; the host loads them (modprobe), not the container; the other --iptables-mode may do";
  if (/RULE_APPEND failed|unknown option|couldn't load|extension/i.test(said))
    return "an extension is missing: xt_REDIRECT, xt_owner, xt_multiport and xt_addrtype are needed; the host loads them (modprobe), not the container";
  return "weft init --dry-run prints what it writes";
}

export const PRIVILEGE_HINT =
  "run it as root with CAP_NET_ADMIN and CAP_NET_RAW (in a container: cap_add: [NET_ADMIN, NET_RAW], user: root)";

export function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return otherwise;
  }
}
