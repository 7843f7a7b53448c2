// Which tokens for one first certificate have been used: in memory to decide, in a file so that a restart does not forget.
//
// A use is decided at once, in this turn of the loop, so of any number of uses at the same time exactly one wins; it counts when it is on
// disk. Entries go when their token has expired. The table is bounded: when it is full of tokens that have not expired, no further one is taken.

import { closeSync, fdatasync, fsyncSync, openSync, write } from "node:fs";
import { promisify } from "node:util";
import { readPrivateFile, writePrivateFile } from "./private-files.ts";
import { Refusal } from "./refusal.ts";

/** Tokens that were used and have not expired: at 100 bytes each, 5 MB of file, 10 of memory. */
const USED_MAX = 50_000;

/** Lines of the file beyond the live ones, before it is written anew. */
const STALE_LINES_MAX = 10_000;

const writeBytes = promisify(write);
const sync = promisify(fdatasync);

export class UsedTokens {
  readonly #path: string;
  readonly #nowMs: () => number;
  /** jti to the end of its token, seconds. */
  readonly #used = new Map<string, number>();
  #file: number;
  #lines = 0;
  /** The end of the file may be half a line, or the descriptor not the file's any more: it is written anew before anything else. */
  #isBroken = false;
  #waiting: { readonly jti: string; readonly line: string; readonly done: (error: Error | null) => void }[] = [];
  /** What is being written; null when nothing is. */
  #writing: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  /** Throws a FileProblem when the file is not ours alone. */
  constructor(path: string, nowMs: () => number = () => Date.now()) {
    this.#path = path;
    this.#nowMs = nowMs;
    this.#read();
    this.#file = this.#compact();
  }

  get size(): number {
    return this.#used.size;
  }

  /**
   * Marks the token as used; resolves when that is durable. Rejects with a Refusal when it was used before or the table is full, and with the system's
   * error when it cannot be written: then nobody has got anything for the token, and it is good again.
   */
  async use(jti: string, expiresAtS: number): Promise<void> {
    if (this.#used.has(jti)) throw new Refusal("WEFT_IDENTITY_TOKEN_USED");
    if (this.#used.size >= USED_MAX) this.#forgetExpired();
    if (this.#used.size >= USED_MAX) throw new Refusal("WEFT_IDENTITY_BUSY", "too many used tokens are remembered");
    this.#used.set(jti, expiresAtS);
    const line = `${jti} ${expiresAtS}\n`;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ jti, line, done: (error) => (error === null ? resolve() : reject(error)) });
      this.#writing ??= this.#writeAll();
    });
  }

  /** Resolves when what was being written is on disk. A second call waits for the first: the descriptor's number may be another file's by then. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#writing;
      closeSync(this.#file);
    })();
    return this.#closing;
  }

  /** One write and one sync for everybody who waits at that time. */
  async #writeAll(): Promise<void> {
    // Ended before `#writing` has it, it would be waited for for ever.
    await null;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      let problem: Error | null = null;
      try {
        if (this.#isBroken) this.#rewrite();
        const bytes = Buffer.from(batch.map(({ line }) => line).join(""));
        for (let at = 0; at < bytes.length; ) at += (await writeBytes(this.#file, bytes, at)).bytesWritten;
        await sync(this.#file);
        this.#lines += batch.length;
      } catch (error) {
        // Nobody knows what is on disk.
        problem = error as Error;
        this.#isBroken = true;
        for (const { jti } of batch) this.#used.delete(jti);
      }
      for (const { done } of batch) done(problem);
      if (!this.#isBroken && this.#lines > this.#used.size + STALE_LINES_MAX) this.#shorten();
    }
    this.#writing = null;
  }

  #read(): void {
    let text = "";
    try {
      text = readPrivateFile(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    for (const line of text.split("\n")) {
      // A line that a power cut left in pieces was never answered.
      const match = /^([A-Za-z0-9_-]{1,64}) (\d{1,12})$/.exec(line);
      if (match !== null) this.#used.set(match[1]!, Number(match[2]));
    }
  }

  /** What was durable stays so when there is no room for a new file. */
  #shorten(): void {
    try {
      this.#rewrite();
    } catch {
      this.#isBroken = true;
    }
  }

  #rewrite(): void {
    const before = this.#file;
    this.#file = this.#compact();
    this.#isBroken = false;
    closeSync(before);
  }

  /** Writes the file with what is alive, and opens it for more. */
  #compact(): number {
    this.#forgetExpired();
    writePrivateFile(this.#path, [...this.#used].map(([jti, end]) => `${jti} ${end}\n`).join(""));
    this.#lines = this.#used.size;
    const file = openSync(this.#path, "a", 0o600);
    fsyncSync(file);
    return file;
  }

  #forgetExpired(): void {
    // Longer than the tolerance with which the expiry of tokens is checked, and than clocks jump in daily life.
    const limitS = this.#nowMs() / 1000 - KEPT_AFTER_END_S;
    for (const [jti, end] of this.#used) if (end < limitS) this.#used.delete(jti);
  }
}

/** A clock that was set back by less than a day does not bring a used token back to life. */
const KEPT_AFTER_END_S = 86_400;
