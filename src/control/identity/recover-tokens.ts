// The tokens' part of a repair: which files hold one, which of them need a new one, and where a workload's token goes that has no file yet.

import { existsSync, lstatSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { identityName, identityProblem, isSameIdentity } from "../../core/identity/names.ts";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import type { TokenUse } from "../../core/identity/join-token.ts";
import { ownIdentity } from "./data-folder.ts";
import type { MeshNames } from "./data-folder.ts";
import { JoinTokens, TOKEN_KEY_FILE, TTL_FILE_MAX_S, TTL_ONCE_MAX_S } from "./join-tokens.ts";
import type { OwnToken } from "./join-tokens.ts";
import { FileProblem, writePrivateFile } from "./private-files.ts";
import { findTokenFiles, mayHoldToken, renewTokenFile } from "./token-files.ts";
import type { TokenFile } from "./token-files.ts";

/** A token in a file lives so long if nothing says otherwise, as `weft identity token create` makes it. */
const TTL_FILE_S = 86_400;

/** A token with less than this part of its life left is replaced as well: it has to last until its proxy restarts. */
const LEFT_MIN = 1 / 2;

/** `planned`: it would be done. `failed`: the others went on. */
export type StepOutcome = "done" | "planned" | "unchanged" | "failed";

const GROUP_READS = 0o040;
const OWNER_AND_GROUP = 0o640;
const OWNER_ONLY = 0o600;

export interface TokenWork {
  /** Folders with token files. */
  readonly tokenFolders: readonly string[];
  /** Those that need a token whatever the files hold; their files are in the first folder. */
  readonly workloads: readonly { readonly name: string; readonly namespace: string }[];
  /** Seconds; null: as long as the one before, else a day. */
  readonly ttlS: number | null;
}

interface Place {
  readonly data: string;
  readonly names: MeshNames;
  readonly isRunning: boolean;
  readonly isDryRun: boolean;
  /** What tokens must pin; null: not made yet. */
  readonly roots: readonly string[] | null;
}

type TellToken = (path: string, outcome: StepOutcome, text: string) => void;

/** Who the named workloads are. Throws a RangeError for a name that is none. */
export function workloadIdentities({ workloads }: TokenWork, names: MeshNames): readonly WorkloadIdentity[] {
  return workloads.map(({ name, namespace }) => {
    const identity = { account: name, namespace, ...names };
    const problem = identityProblem(identity);
    if (problem !== null) throw new RangeError(problem);
    if (isSameIdentity(identity, ownIdentity(names))) throw new RangeError("nobody but the identity component is called that");
    return identity;
  });
}

/** Rejects with a FileProblem when nothing can be done; what concerns one file is told, and the others go on. */
export async function renewTokens(
  { tokenFolders, ttlS }: TokenWork,
  workloads: readonly WorkloadIdentity[],
  place: Place,
  tell: TellToken,
): Promise<void> {
  const [folder] = tokenFolders;
  if (folder === undefined) return;
  const tokens = await openTokens(place);
  if (tokens === null) {
    tell(
      join(place.data, TOKEN_KEY_FILE),
      "planned",
      "is not there: a new key for tokens, and no token before is known any more; name workloads with --workload",
    );
    return;
  }
  const files: TokenFile[] = [];
  for (const one of tokenFolders) files.push(...(await findTokenFiles(one, tokens, place.isDryRun)));
  const neighbour = files.find((file) => dirname(file.path) === normalize(folder) && "token" in file && file.token !== null) ?? null;
  const maker = new TokenMaker(tokens, place, ttlS, neighbour?.path ?? null, tell);
  const named = workloads.filter((identity) => !files.some((file) => isTokenOf(file, identity)));
  const targets = new Map(named.map((identity) => [join(folder, fileName(identity)), identity]));
  for (const file of files) {
    if (targets.has(file.path)) continue;
    if ("problem" in file) tell(file.path, "failed", file.problem);
    else if (file.token === null)
      tell(
        file.path,
        "unchanged",
        "a join token that this folder's key has not signed: if it is of this mesh, name its workload with --workload",
      );
    else await maker.renew(file.path, file.token);
  }
  for (const [path, identity] of targets) await maker.make(path, identity);
}

function isTokenOf(file: TokenFile, identity: WorkloadIdentity): boolean {
  return "token" in file && file.token !== null && isSameIdentity(file.token.identity, identity);
}

class TokenMaker {
  readonly #tokens: JoinTokens;
  readonly #place: Place;
  readonly #ttlS: number | null;
  /** Another token file of the folder; null: there is none. */
  readonly #neighbour: string | null;
  readonly #tell: TellToken;

  constructor(tokens: JoinTokens, place: Place, ttlS: number | null, neighbour: string | null, tell: TellToken) {
    this.#tokens = tokens;
    this.#place = place;
    this.#ttlS = ttlS;
    this.#neighbour = neighbour;
    this.#tell = tell;
  }

  /** In the file of a token of ours, if that is no good any more. */
  async renew(path: string, token: OwnToken): Promise<void> {
    const { identity, use, issuedAtS, expiresAtS, roots } = token;
    const ttlMaxS = use === "once" ? TTL_ONCE_MAX_S : TTL_FILE_MAX_S;
    const ttlS = Math.min(this.#ttlS ?? expiresAtS - issuedAtS, ttlMaxS);
    const leftS = expiresAtS - Date.now() / 1000;
    const pins = this.#place.roots;
    const isPinned = pins !== null && pins.every((root) => roots.includes(root));
    const end = `${leftS <= 0 ? "ended at" : "good until"} ${isoTime(expiresAtS)}`;
    if (isPinned && leftS >= ttlS * LEFT_MIN) this.#tell(path, "unchanged", `${identityName(identity)}; ${end}`);
    else await this.#write(path, identity, use, ttlS, `the one before ${isPinned || leftS <= 0 ? end : pinText(pins, roots)}`, true);
  }

  /** For a workload that was named and has no token that is known. */
  async make(path: string, identity: WorkloadIdentity): Promise<void> {
    if (mayHoldToken(path)) await this.#write(path, identity, "file", this.#ttlS ?? TTL_FILE_S, "its workload was named", existsSync(path));
    else this.#tell(path, "failed", "holds something that is no join token: move it away, and run this again");
  }

  /** For its owner alone. As the files beside it, whose readers are those of this one too: made by root it is theirs, and its group reads it where theirs does. */
  #create(path: string, token: string): void {
    const beside = this.#neighbour === null ? null : lstatSync(this.#neighbour);
    const mode = beside !== null && (beside.mode & GROUP_READS) !== 0 ? OWNER_AND_GROUP : OWNER_ONLY;
    writePrivateFile(path, `${token}\n`, beside === null ? null : { uid: beside.uid, gid: beside.gid, mode });
  }

  async #write(path: string, identity: WorkloadIdentity, use: TokenUse, ttlS: number, why: string, isThere: boolean): Promise<void> {
    const { isDryRun, roots } = this.#place;
    const name = identityName(identity);
    const what = use === "once" ? "a new token, for one certificate" : "a new token";
    if (isDryRun || roots === null) {
      this.#tell(path, "planned", `${name}: ${what}, because ${why}`);
      return;
    }
    try {
      const text = await this.#tokens.create({ identity, use, ttlS, roots });
      if (isThere) renewTokenFile(path, text);
      else this.#create(path, text);
      this.#tell(path, "done", `${name}: ${what}, good for ${ttlS} s, because ${why}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (!(error instanceof FileProblem) && !(error instanceof RangeError) && code === undefined) throw error;
      this.#tell(path, "failed", message);
    }
  }
}

/** Null: there is no key, and a dry run makes none. */
async function openTokens({ data, names, isRunning, isDryRun }: Place): Promise<JoinTokens | null> {
  const path = join(data, TOKEN_KEY_FILE);
  if (!existsSync(path)) {
    if (isRunning) throw new FileProblem(`${path} is gone, and the component that runs has it in memory only: stop it, and run this again`);
    if (isDryRun) return null;
  }
  return await JoinTokens.open(data, names.trustDomain);
}

/** Where `weft inject` puts them. */
function fileName({ namespace, account }: WorkloadIdentity): string {
  return `${namespace}.${account}.token`;
}

/** Why a token that is not over is replaced; `pins`: what it must pin, null: made in this repair. */
function pinText(pins: readonly string[] | null, roots: readonly string[]): string {
  if (pins === null) return "does not pin the root that is to be made";
  const count = pins.filter((root) => roots.includes(root)).length;
  return count === 0 ? "pins none of the roots that are trusted now" : `pins ${count} of the ${pins.length} roots that are trusted now`;
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
