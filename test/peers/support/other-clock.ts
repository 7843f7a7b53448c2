// A wall clock of its own for a process, which jumps when the test says so: libfaketime, preloaded.
//
// Everything in the process sees it that asks the C library for the time: JavaScript's Date, and OpenSSL when it looks at certificates.
// The monotonic clock stays the machine's, as when somebody sets a clock.

import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing } from "./tools.ts";

const MACHINES: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: "x86_64", arm64: "aarch64" };
const LIBRARY = `/usr/lib/${MACHINES[process.arch] ?? process.arch}-linux-gnu/faketime/libfaketimeMT.so.1`;

/** How long the library believes what it has read. */
const CACHE_S = "1";

export class OtherClock {
  readonly #folder: string;
  readonly #file: string;

  constructor() {
    if (!existsSync(LIBRARY)) throw missing("libfaketime");
    this.#folder = mkdtempSync(join(tmpdir(), "weft-other-clock-"));
    this.#file = join(this.#folder, "offset");
    this.set(0);
  }

  /** For a process that has this clock. */
  get environment(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: CACHE_S,
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    };
  }

  /** It is wrong by so many seconds from now on, against the machine's. */
  set(seconds: number): void {
    writeFileSync(`${this.#file}.new`, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}s\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
