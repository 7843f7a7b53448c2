// What `weft init` must be allowed to do, and how it gives that up when it stays as the holder of its namespace.
//
// Giving up is for good: all three user and group ids change, supplementary groups go, and the kernel then takes every capability. That it did is
// looked at, not believed.

import { PRIVILEGE_HINT, readOr, TablesError } from "./tables.ts";

/** Bits of `CapEff` and `CapPrm` in /proc/self/status. */
const CAP_SETGID = 6n;
const CAP_SETUID = 7n;
const CAP_NET_ADMIN = 12n;

/** Throws a TablesError when a privilege is missing; `isHolder`: also what it takes to become another user. */
export function checkPrivileges(isHolder: boolean): void {
  const effective = capabilities("CapEff");
  if (effective === null) return;
  if (!has(effective, CAP_NET_ADMIN))
    throw new TablesError("this needs the capability NET_ADMIN, which this process does not have", PRIVILEGE_HINT);
  if (isHolder && !(process.geteuid?.() === 0 && has(effective, CAP_SETUID) && has(effective, CAP_SETGID)))
    throw new TablesError(
      "--hold gives up root, and needs the capabilities SETUID and SETGID for that",
      "in a container: user: root, cap_add: [NET_ADMIN, NET_RAW, SETUID, SETGID]",
    );
}

/** Becomes that user and its group, without any capability. Throws a TablesError. */
export function becomeUser(uid: number): void {
  const what = `cannot become user ${uid}`;
  try {
    process.setgroups?.([]);
    process.setgid?.(uid);
    process.setuid?.(uid);
  } catch (error) {
    throw new TablesError(`${what}: ${(error as NodeJS.ErrnoException).code}`, "the user must be one of this user namespace");
  }
  const left = capabilities("CapPrm");
  if (left !== null && left !== 0n)
    throw new TablesError(`${what} without the capabilities 0x${left.toString(16)}`, "let the kernel take them");
}

function capabilities(field: string): bigint | null {
  const text = new RegExp(`^${field}:\\s*([0-9a-f]+)`, "m").exec(readOr("/proc/self/status", ""))?.[1];
  return text === undefined ? null : BigInt(`0x${text}`);
}

function has(set: bigint, bit: bigint): boolean {
  return ((set >> bit) & 1n) === 1n;
}
