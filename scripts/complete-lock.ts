// Completes package-lock.json: every optional dependency that a locked package names gets an entry.
//
// A registry that mirrors only part of the packages (other systems' binaries are missing there) makes `npm install` write a
// lock file without them, and `npm ci` then refuses that lock everywhere. The entries that this adds hold what the names
// say (version, system, processor, C library); npm skips them where they do not fit, and needs no registry for that.
// Run it after `npm install` changed the lock file; a house test says when that was forgotten.

import { readFileSync, writeFileSync } from "node:fs";

const SYSTEMS = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const PROCESSORS = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"];
/** Other systems' words for them. */
const PROCESSOR_ALIASES: Readonly<Record<string, string>> = { aarch64: "arm64", armv7: "arm" };

interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface LockFile {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

type Platform = Pick<LockEntry, "os" | "cpu" | "libc">;

/** What the last part of a binary package's name says, for example `binding-linux-x64-musl`. */
export function platformOf(name: string): Platform {
  const words = name
    .slice(name.lastIndexOf("/") + 1)
    .split("-")
    .map((word) => PROCESSOR_ALIASES[word] ?? word);
  const system = SYSTEMS.find((word) => words.includes(word));
  const processor = PROCESSORS.find((word) => words.includes(word));
  const isMusl = words.includes("musl") || words.includes("musleabihf");
  const isGlibc = system === "linux" && words.includes("gnu");
  return {
    ...(processor === undefined ? {} : { cpu: [processor] }),
    ...(system === undefined ? {} : { os: [system] }),
    ...(isMusl ? { libc: ["musl"] } : {}),
    ...(isGlibc ? { libc: ["glibc"] } : {}),
  };
}

/** Names and versions of optional dependencies that the lock file's packages name and that have no entry. */
export function missingFrom(lock: LockFile): Map<string, { version: string; isDev: boolean }> {
  const missing = new Map<string, { version: string; isDev: boolean }>();
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const isThere = lock.packages[`node_modules/${name}`] !== undefined || lock.packages[`${path}/node_modules/${name}`] !== undefined;
      if (!isThere) missing.set(name, { version, isDev: entry.dev === true });
    }
  }
  return missing;
}

/** The lock file with the missing entries, in npm's own order. */
export function completeLock<T extends LockFile>(lock: T): T {
  const packages: Record<string, LockEntry> = { ...lock.packages };
  for (const [name, { version, isDev }] of missingFrom(lock)) {
    if (!/^\d+\.\d+\.\d+/.test(version)) throw new Error(`${name}@${version}: only an exact version can be added`);
    packages[`node_modules/${name}`] = { version, ...platformOf(name), ...(isDev ? { dev: true } : {}), optional: true };
  }
  const sorted = Object.keys(packages).sort((left, right) => left.localeCompare(right, "en"));
  return { ...lock, packages: Object.fromEntries(sorted.map((path) => [path, packages[path]!])) };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const path = new URL("../package-lock.json", import.meta.url);
  const lock = JSON.parse(readFileSync(path, "utf8")) as LockFile;
  writeFileSync(path, `${JSON.stringify(completeLock(lock), null, 2)}\n`);
}
