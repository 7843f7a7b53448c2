// Join tokens made from outside the running component: from its data folder, or by its admin port.

import type { TokenUse } from "../../core/identity/join-token.ts";
import { DEFAULT_CONTROL_NAMESPACE, DEFAULT_TRUST_DOMAIN, identityProblem, isSameIdentity } from "../../core/identity/names.ts";
import type { RotationSettings } from "../../core/identity/rotation.ts";
import { askAdmin } from "./admin-client.ts";
import { openDataFolder, ownIdentity, readBundleFingerprints, writeBundle } from "./data-folder.ts";
import { lockFolder } from "./data-lock.ts";
import { JoinTokens, lifeProblem } from "./join-tokens.ts";
import { KeptAuthority } from "./kept-authority.ts";
import { FileProblem } from "./private-files.ts";

/** What the first root of a folder gets that is laid out before the component has ever run; the component's own settings count from then on. */
export const DEFAULT_ROTATION: RotationSettings = {
  leafLifetimeMs: 24 * 3_600_000,
  issuerLifetimeMs: 30 * 86_400_000,
  rootLifetimeMs: 365 * 86_400_000,
  propagationMs: 24 * 3_600_000,
  skewMs: 20_000,
};

export interface WorkloadOrder {
  readonly name: string;
  readonly namespace: string;
  readonly use: TokenUse;
  readonly ttlS: number;
}

export interface IdentityFolder {
  /** Throws a RangeError that says what is wrong with the order. */
  createToken(order: WorkloadOrder): Promise<string>;
}

/** What can be told of an order without a folder, so that none is laid out for one that is refused. Throws a RangeError. */
export function checkOrder({ name, namespace, use, ttlS }: WorkloadOrder, trustDomain: string = DEFAULT_TRUST_DOMAIN): void {
  const identity = { account: name, namespace, controlNamespace: DEFAULT_CONTROL_NAMESPACE, trustDomain };
  const problem = identityProblem(identity) ?? lifeProblem(use, ttlS);
  if (problem !== null) throw new RangeError(problem);
}

/** Opens the folder, laying it out when it is new. Rejects with a FileProblem. */
export async function openIdentityFolder(data: string, trustDomain?: string): Promise<IdentityFolder> {
  const names = openDataFolder(data, trustDomain === undefined ? {} : { trustDomain });
  if (readBundleFingerprints(data) === null) await layOut(data, names.trustDomain);
  const roots = readBundleFingerprints(data);
  if (roots === null) throw new FileProblem(`${data} has no trust bundle yet; wait until the identity component serves`);
  const tokens = await JoinTokens.open(data, names.trustDomain);
  return {
    createToken: async ({ name, namespace, use, ttlS }) => {
      const identity = { account: name, namespace, ...names };
      const problem = identityProblem(identity);
      if (problem !== null) throw new RangeError(problem);
      if (isSameIdentity(identity, ownIdentity(names))) throw new RangeError("nobody but the identity component is called that");
      return await tokens.create({ identity, use, ttlS, roots });
    },
  };
}

async function layOut(data: string, trustDomain: string): Promise<void> {
  const unlock = await lockFolder(data);
  if (unlock === null) return;
  try {
    const authority = await KeptAuthority.open({ folder: data, rotation: DEFAULT_ROTATION, log: () => {} });
    await JoinTokens.open(data, trustDomain);
    writeBundle(data, authority.bundle);
  } finally {
    await unlock();
  }
}

/** A token made by the component behind an admin port `HOST:PORT`. Rejects with a RangeError that repeats its answer, or Node's error. */
export async function requestToken(admin: string, secretFile: string, { name, namespace, use, ttlS }: WorkloadOrder): Promise<string> {
  const text = await askAdmin(admin, secretFile, "/identity/tokens", JSON.stringify({ name, namespace, use, ttlSeconds: ttlS }));
  return (JSON.parse(text) as { token: string }).token;
}
