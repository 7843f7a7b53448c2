// Key, certificate and roots in a folder, so that a restarted proxy serves before it has spoken to anybody.
//
// One file holds all three, because they only make sense together; it is replaced as a whole: written beside it, synchronised, renamed, and
// the folder synchronised. Folder 0700, file 0600, both this user's: anything looser is refused, with what to do. What is read is
// checked like a certificate that has just been issued; what does not pass is left alone and counts as nothing kept.

import { randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { lstat, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Certified } from "./certify-request.ts";
import { foreignText, IdentityError } from "./identity-failure.ts";
import { checkIssued } from "./issued-certificate.ts";

const FILE = "identity.json";
/** Of what is not finished, or was interrupted. */
const UNFINISHED = /^identity\.json\.[0-9a-f]{16}\.new$/;
/** An unfinished file of this age is nobody's any more: writing one takes milliseconds. */
const UNFINISHED_AGE_MS = 60_000;
/** Key, chain and roots have some 10 KB. */
const FILE_BYTES_MAX = 512 * 1024;
const FORMAT = 1;

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** Any permission of the group or of others. */
const OTHERS = 0o077;

export class KeptIdentity {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder if it is not there. Rejects with an IdentityError (`keep`) when it cannot hold secrets. */
  static async open(folder: string): Promise<KeptIdentity> {
    try {
      await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
      checkOwner(folder, await stat(folder), "chmod 700");
      await removeUnfinished(folder);
    } catch (error) {
      throw keepError(folder, error);
    }
    return new KeptIdentity(folder);
  }

  /** What is kept, null when nothing is that is good now. Rejects with an IdentityError (`keep`) when others could have read or written it. */
  async read(now: number): Promise<{ readonly kept: Certified } | { readonly problem: string } | null> {
    const path = join(this.#folder, FILE);
    try {
      const stats = await lstat(path);
      if (!stats.isFile()) throw new IdentityError("keep", `${path} is no file`);
      checkOwner(path, stats, "chmod 600");
      if (stats.size > FILE_BYTES_MAX) throw new IdentityError("keep", `${path} has ${stats.size} bytes`);
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      const text = await file.readFile("utf8").finally(() => file.close());
      return { kept: parse(text, now) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      if (error instanceof IdentityError && error.reason === "answer") return { problem: error.message };
      throw keepError(path, error);
    }
  }

  /** Replaces what is kept; it survives a power cut from here on. Rejects with an IdentityError (`keep`), and then the old one stays. */
  async write(certified: Certified): Promise<void> {
    const path = join(this.#folder, FILE);
    const unfinished = `${path}.${randomBytes(8).toString("hex")}.new`;
    try {
      const file = await open(unfinished, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, FILE_MODE);
      try {
        await file.writeFile(`${JSON.stringify({ format: FORMAT, ...certified })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(unfinished, path);
      const folder = await open(this.#folder, constants.O_RDONLY | constants.O_DIRECTORY);
      await folder.sync().finally(() => folder.close());
    } catch (error) {
      await unlink(unfinished).catch(() => undefined);
      throw keepError(path, error);
    }
  }
}

function parse(text: string, now: number): Certified {
  const { format, ...kept } = decode(text);
  const { name, cert, key, trust, trustVersion, trustDigest, issuedAt, validUntil } = kept;
  const isWhole =
    format === FORMAT &&
    [name, cert, key, trust, trustDigest].every((value) => typeof value === "string") &&
    [trustVersion, issuedAt, validUntil].every((value) => Number.isSafeInteger(value));
  if (!isWhole) throw new IdentityError("answer", "it is not what this version of Weft keeps");
  const certified = kept as unknown as Certified;
  const { notAfter } = checkIssued(certified, now);
  return { ...certified, notAfter };
}

function decode(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below: no part of the file belongs in a message.
  }
  throw new IdentityError("answer", "it is no JSON");
}

function checkOwner(path: string, { uid, mode }: Stats, remedy: string): void {
  if (uid !== process.getuid?.()) {
    throw new IdentityError(
      "keep",
      `${path} belongs to user ${uid}, and the proxy runs as ${process.getuid?.()}: give it a folder of its own`,
    );
  }
  if ((mode & OTHERS) !== 0) {
    throw new IdentityError("keep", `${path} is open to other users (mode ${(mode & 0o777).toString(8)}): ${remedy} ${path}`);
  }
}

async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!UNFINISHED.test(name)) continue;
    const path = join(folder, name);
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > UNFINISHED_AGE_MS) await unlink(path);
  }
}

function keepError(path: string, error: unknown): IdentityError {
  if (error instanceof IdentityError) return error;
  const { code = "unknown error" } = error as NodeJS.ErrnoException;
  return new IdentityError("keep", `${path}: ${foreignText(code)}`);
}
