// Join tokens made from outside the running component: from its data folder, or by its admin port.

import { request } from "node:http";
import type { TokenUse } from "../../core/identity/join-token.ts";
import { identityProblem, isSameIdentity } from "../../core/identity/names.ts";
import type { RotationSettings } from "../../core/identity/rotation.ts";
import { openDataFolder, ownIdentity, readBundleFingerprints, writeBundle } from "./data-folder.ts";
import { lockFolder } from "./data-lock.ts";
import { JoinTokens } from "./join-tokens.ts";
import { KeptAuthority } from "./kept-authority.ts";
import { FileProblem, readPrivateFile } from "./private-files.ts";

/** What the first root of a folder gets that is laid out before the component has ever run; the component's own settings count from then on. */
export const DEFAULT_ROTATION: RotationSettings = {
  leafLifetimeMs: 24 * 3_600_000,
  issuerLifetimeMs: 30 * 86_400_000,
  rootLifetimeMs: 365 * 86_400_000,
  propagationMs: 24 * 3_600_000,
  skewMs: 20_000,
};

/** The component answers from memory; a port that accepts and says nothing is not its. */
const ANSWER_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;

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
  const secret = readPrivateFile(secretFile).trim();
  const url = new URL(`http://${admin}/identity/tokens`);
  const body = JSON.stringify({ name, namespace, use, ttlSeconds: ttlS });
  const headers = { authorization: `Bearer ${secret}`, "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const answer = await new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    const call = request(url, { method: "POST", headers, signal: AbortSignal.timeout(ANSWER_MS) }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) response.destroy(new RangeError(`${admin} is no identity component: its answer has no end`));
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end(body);
  });
  if (answer.status !== 200) throw new RangeError(`${admin} answered ${answer.status}: ${answer.text.trim()}`);
  return (JSON.parse(answer.text) as { token: string }).token;
}
