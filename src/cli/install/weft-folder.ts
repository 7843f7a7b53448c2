// `.weft` on the machine where Weft is run: the identity component's data folder and the join tokens that containers get as secrets.
//
//   .gitignore                        `*`: nothing here belongs into a repository
//   identity/                         the identity component's data folder (0700)
//   tokens/NAMESPACE.NAME.token       a workload's token, good for a year
//
// Run as root, files belong to the proxies' own user (2102, or what a label says) and nobody else reads them. Else they belong to whoever runs Weft, tokens may be read by
// that one's group, and sidecars join the group. Keys and tokens are printed nowhere.
//
// The folder may have come with somebody else's project: links in it are refused, for what they lead to would be written or given away, and root refuses
// an identity folder that is another user's, who would be the mesh's root. Owner and mode are settled on descriptors.

import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { join } from "node:path";
import type { TokenWorkload } from "../inject/injection.ts";
import { openIdentityFolder } from "../../control/identity/token-maker.ts";
import { readBundleFingerprints } from "../../control/identity/data-folder.ts";
import { FileProblem, writeAll, writePrivateFile } from "../../control/identity/private-files.ts";
import { readJoinToken } from "../../core/identity/join-token.ts";
import { identityName } from "../../core/identity/names.ts";

const PROXY_UID = 2102;
const FOLDER_MODE = 0o700;
const GROUP_READS = 0o640;
const OWNER_READS = 0o600;

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
  chmodSync(tokens, FOLDER_MODE);
  const made: string[] = [];
  for (const { name, uid } of workloads) {
    const file = `${namespace}.${name}.token`;
    const path = join(tokens, file);
    const owner = identityName({ account: name, namespace, controlNamespace: "weft", trustDomain });
    refuseLink(path);
    if (!isStillGood(path, owner, roots)) {
      const token = await identity.createToken({ name, namespace, use: "file", ttlS: TOKEN_TTL_S });
      replaceInPlace(path, `${token}\n`, uid);
      made.push(file);
    } else withFile(path, (descriptor) => settle(descriptor, uid));
  }
  giveToProxies(join(folder, "identity"));
  return { made };
}

async function openFolder(folder: string, trustDomain: string): ReturnType<typeof openIdentityFolder> {
  makeFolder(folder, 0o755);
  const ignore = join(folder, ".gitignore");
  // An empty one is what a full disk left: keys would go into a repository.
  const ignoreSize = refuseLink(ignore)?.size;
  if (ignoreSize === undefined) writeFileSync(ignore, "*\n", { flag: "wx" });
  else if (ignoreSize === 0) withFile(ignore, (descriptor) => writeAll(descriptor, "*\n"));
  const identity = join(folder, "identity");
  const owner = refuseLink(identity)?.uid ?? 0;
  if (isRoot() && owner !== 0 && owner !== PROXY_UID) {
    throw new FileProblem(
      `${identity} belongs to another user (uid ${owner}), who would be the root of this mesh: remove it, or run this as that user`,
    );
  }
  return await openIdentityFolder(identity, trustDomain);
}

function makeFolder(path: string, mode: number): void {
  refuseLink(path);
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    throw new FileProblem(
      `${path} cannot be made (${(error as NodeJS.ErrnoException).code}): name a folder that this user may write with --folder`,
    );
  }
}

/** A file that is mounted into a container is mounted as what it is: a new one in its place would not be seen there. */
function replaceInPlace(path: string, text: string, uid: number): void {
  if (refuseLink(path) === null) {
    const gid = isRoot() ? uid : (process.getegid?.() ?? 0);
    writePrivateFile(path, text, { uid, gid, mode: isRoot() ? OWNER_READS : GROUP_READS });
    return;
  }
  withFile(path, (descriptor) => {
    settle(descriptor, uid);
    writeAll(descriptor, text);
  });
}

/** Whose a token is, and who reads it. */
function settle(descriptor: number, uid: number): void {
  fchmodSync(descriptor, isRoot() ? OWNER_READS : GROUP_READS);
  if (isRoot()) fchownSync(descriptor, uid, uid);
}

function withFile(path: string, use: (descriptor: number) => void): void {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile() || stat.nlink > 1) throw new FileProblem(`${path} is no file of its own: remove it`);
    use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** What is there, null for nothing. */
function refuseLink(path: string): Stats | null {
  const stat = lstatSync(path, { throwIfNoEntry: false }) ?? null;
  if (stat?.isSymbolicLink() === true)
    throw new FileProblem(`${path} is a symbolic link, and what it leads to is none of Weft's: remove it`);
  return stat;
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
