// The data folder of an identity component as a whole: what stands in it, and what anybody who may read it can do with it.
//
//   mesh.json      trust domain and control namespace, decided at the first start
//   bundle.pem     the trust bundle as it is (a copy for people and for `weft identity token create`)
//   admin.secret   what the calls of the admin port that change something must show
//   ...            keys and state (kept-authority.ts, given-authority.ts, join-tokens.ts, used-tokens.ts)

import { randomBytes, X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_CONTROL_NAMESPACE, DEFAULT_TRUST_DOMAIN, identityProblem } from "../../core/identity/names.ts";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import type { Bundle } from "./authority.ts";
import { FileProblem, openPrivateFolder, readPrivateFile, writePrivateFile } from "./private-files.ts";
import { fingerprintOf } from "./x509.ts";

const MESH_FILE = "mesh.json";
const BUNDLE_FILE = "bundle.pem";
const SECRET_FILE = "admin.secret";

/** 32 random bytes in base64url. */
export const ADMIN_SECRET: RegExp = /^[A-Za-z0-9_-]{43}$/;

/** The account of the identity component itself. */
const OWN_ACCOUNT = "identity";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

export interface MeshNames {
  readonly trustDomain: string;
  readonly controlNamespace: string;
}

/** The names of the folder's mesh; `wanted` ones are laid down in a new folder and must be the same in an old one. Throws a FileProblem. */
export function openDataFolder(folder: string, wanted: Partial<MeshNames>): MeshNames {
  openPrivateFolder(folder);
  const path = join(folder, MESH_FILE);
  const kept = readMesh(path);
  if (kept === null) {
    const { trustDomain = DEFAULT_TRUST_DOMAIN, controlNamespace = DEFAULT_CONTROL_NAMESPACE } = wanted;
    const problem = identityProblem(ownIdentity({ trustDomain, controlNamespace }));
    if (problem !== null) throw new FileProblem(problem);
    writePrivateFile(path, `${JSON.stringify({ trustDomain, controlNamespace })}\n`);
    return { trustDomain, controlNamespace };
  }
  for (const name of ["trustDomain", "controlNamespace"] as const) {
    const other = wanted[name];
    if (other !== undefined && other !== kept[name]) {
      throw new FileProblem(`${folder} is of ${kept[name]}, not of ${other}: a mesh keeps its name; name another folder for another mesh`);
    }
  }
  return kept;
}

/** The identity component's own identity. */
export function ownIdentity({ trustDomain, controlNamespace }: MeshNames): WorkloadIdentity {
  return { account: OWN_ACCOUNT, namespace: controlNamespace, controlNamespace, trustDomain };
}

/** True for a folder that an identity component has used; nothing is made or checked. Throws a FileProblem when it cannot be looked into. */
export function isDataFolder(folder: string): boolean {
  try {
    return statSync(join(folder, MESH_FILE)).isFile();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw new FileProblem(`${folder} cannot be looked into (${code}): run this as its owner`);
  }
}

/** Lays down the bundle for people and commands. */
export function writeBundle(folder: string, { roots }: Bundle): void {
  writePrivateFile(join(folder, BUNDLE_FILE), roots.map((root) => root.toString()).join(""));
}

/** The bundle's roots as they were laid down last, null before the first start. Throws a FileProblem. */
export function readBundle(folder: string): readonly X509Certificate[] | null {
  const text = readOrNull(join(folder, BUNDLE_FILE));
  if (text === null) return null;
  const roots = certificatesOf(text);
  if (roots.length > 0) return roots;
  throw new FileProblem(`${join(folder, BUNDLE_FILE)} is damaged; start the identity component, which writes it anew`);
}

/** The certificates of a PEM text; none when one of them cannot be decoded. */
export function certificatesOf(pem: string): X509Certificate[] {
  try {
    return (pem.match(CERTIFICATE) ?? []).map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}

/** Fingerprints of the bundle's roots, null before the first start. */
export function readBundleFingerprints(folder: string): readonly string[] | null {
  return readBundle(folder)?.map(fingerprintOf) ?? null;
}

/** The secret of the admin port; made when it is not there. */
export function openAdminSecret(folder: string): string {
  const path = join(folder, SECRET_FILE);
  const kept = readOrNull(path)?.trim();
  if (kept !== undefined && ADMIN_SECRET.test(kept)) return kept;
  const secret = randomBytes(32).toString("base64url");
  writePrivateFile(path, `${secret}\n`);
  return secret;
}

function readMesh(path: string): MeshNames | null {
  const text = readOrNull(path);
  if (text === null) return null;
  try {
    const { trustDomain, controlNamespace } = JSON.parse(text) as Record<string, unknown>;
    if (typeof trustDomain === "string" && typeof controlNamespace === "string") {
      const names = { trustDomain, controlNamespace };
      if (identityProblem(ownIdentity(names)) === null) return names;
    }
  } catch {
    // Damaged.
  }
  throw new FileProblem(`${path} is damaged: it must hold the mesh's trustDomain and controlNamespace`);
}

function readOrNull(path: string): string | null {
  try {
    return readPrivateFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
