// `.weft` on the machine where Weft is run: the identity component's data folder and the join tokens that containers get as secrets.
//
//   .gitignore                        `*`: nothing here belongs into a repository
//   identity/                         the identity component's data folder (0700)
//   tokens/NAMESPACE.NAME.token       a workload's token, good for a year
//
// Run as root, files belong to the proxies' own user (2102, or what a label says) and nobody else reads them. Else they belong to whoever runs Weft, tokens may be read by
// that one's group, and sidecars join the group. Keys and tokens are printed nowhere.

import { chmodSync, chownSync, existsSync, lchownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TokenWorkload } from "../inject/injection.ts";
import { openIdentityFolder } from "../../control/identity/token-maker.ts";
import { readBundleFingerprints } from "../../control/identity/data-folder.ts";
import { FileProblem, writePrivateFile } from "../../control/identity/private-files.ts";
import { readJoinToken } from "../../core/identity/join-token.ts";
import { identityName } from "../../core/identity/names.ts";

const PROXY_UID = 2102;
const FOLDER_MODE = 0o700;
const GROUP_READS = 0o640;

/** A year, which is what a token for a file lives at most; it is made anew when less than half of that is left. Seconds. */
const TOKEN_TTL_S = 365 * 86_400;
const TOKEN_LEFT_S = TOKEN_TTL_S / 2;

export interface TokenOrders {
  readonly namespace: string;
  readonly trustDomain: string;
  readonly workloads: readonly TokenWorkload[];
}

/** The group that sidecars must be in to read their tokens; null when tokens belong to their user. */
export function tokenGroup(): number | null {
  return isRoot() ? null : (process.getegid?.() ?? null);
}

/** Who the identity component must run as to use its folder: `2102:2102`, or whoever runs Weft. */
export function componentUser(): string {
  return isRoot() ? `${PROXY_UID}:${PROXY_UID}` : `${process.geteuid?.() ?? PROXY_UID}:${process.getegid?.() ?? PROXY_UID}`;
}

/** Makes the folder with the identity component's data in it, or opens it. Rejects with a FileProblem. */
export async function layOutFolder(folder: string, trustDomain: string): Promise<void> {
  await openFolder(folder, trustDomain);
  giveToProxies(join(folder, "identity"));
}

/** Makes the tokens that are missing, spent or about to end. Rejects with a FileProblem, or with a RangeError for a name that cannot have one. */
export async function makeTokens(
  folder: string,
  { namespace, trustDomain, workloads }: TokenOrders,
): Promise<{ readonly made: readonly string[] }> {
  const identity = await openFolder(folder, trustDomain);
  const roots = readBundleFingerprints(join(folder, "identity")) ?? [];
  const tokens = join(folder, "tokens");
  makeFolder(tokens, FOLDER_MODE);
  const made: string[] = [];
  for (const { name, uid } of workloads) {
    const file = `${namespace}.${name}.token`;
    const path = join(tokens, file);
    const owner = identityName({ account: name, namespace, controlNamespace: "weft", trustDomain });
    if (!isStillGood(path, owner, roots)) {
      const token = await identity.createToken({ name, namespace, use: "file", ttlS: TOKEN_TTL_S });
      replaceInPlace(path, `${token}\n`);
      made.push(file);
    }
    if (isRoot()) lchownSync(path, uid, uid);
    else chmodSync(path, GROUP_READS);
  }
  giveToProxies(join(folder, "identity"));
  return { made };
}

async function openFolder(folder: string, trustDomain: string): ReturnType<typeof openIdentityFolder> {
  makeFolder(folder, 0o755);
  const ignore = join(folder, ".gitignore");
  if (!existsSync(ignore)) writeFileSync(ignore, "*\n");
  return await openIdentityFolder(join(folder, "identity"), trustDomain);
}

function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    throw new FileProblem(
      `${path} cannot be made (${(error as NodeJS.ErrnoException).code}): name a folder that this user may write with --folder`,
    );
  }
}

/** A file that is mounted into a container is mounted as what it is: a new one in its place would not be seen there. */
function replaceInPlace(path: string, text: string): void {
  if (existsSync(path)) writeFileSync(path, text, { mode: GROUP_READS });
  else writePrivateFile(path, text);
}

/** The token of that workload, with much of its life left, and pinned to roots that are trusted now. */
function isStillGood(path: string, owner: string, roots: readonly string[]): boolean {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw new FileProblem(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  const token = readJoinToken(text);
  if ("problem" in token || identityName(token.identity) !== owner) return false;
  return token.expiresAtS - Date.now() / 1000 > TOKEN_LEFT_S && roots.every((root) => token.roots.includes(root));
}

function giveToProxies(folder: string): void {
  if (!isRoot()) return;
  for (const name of readdirSync(folder)) lchownSync(join(folder, name), PROXY_UID, PROXY_UID);
  chownSync(folder, PROXY_UID, PROXY_UID);
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}
