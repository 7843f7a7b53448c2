// The join token: from its file, read again each time, because whoever renews it replaces the file; or from the environment.
//
// With a file of roots it is a service account's token: that pins none, so the roots of the file, read again as well, stand in for its pins.
// No message ever quotes it.

import { X509Certificate } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { TOKEN_VARIABLE } from "../../config/config-source.ts";
import { type JoinToken, readJoinToken, TOKEN_LENGTH_MAX, TOKEN_ROOTS_MAX } from "../../core/identity/join-token.ts";
import { type Mesh, readServiceAccountToken } from "../../core/identity/service-account-token.ts";
import { IdentityError } from "./identity-failure.ts";

/** Characters: as many roots as a token pins at most, with names of every length. */
const ROOTS_LENGTH_MAX = 256 * 1024;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Of a token that does not say so itself: which mesh it is for, and the file with the roots that it may be sent to. */
export interface TokenTrust {
  readonly file: string;
  readonly mesh: Mesh;
}

export interface HeldToken extends JoinToken {
  readonly text: string;
}

/** Rejects with an IdentityError (`token`). */
export async function readToken(
  tokenFile: string | null,
  environment: NodeJS.ProcessEnv,
  trust: TokenTrust | null = null,
): Promise<HeldToken> {
  const where = tokenFile ?? TOKEN_VARIABLE;
  const hint = trust === null ? makeOne(tokenFile) : null;
  const text = (tokenFile === null ? fromEnvironment(environment) : await fromFile(tokenFile, "token", TOKEN_LENGTH_MAX, hint)).trim();
  if (trust !== null) return { ...(await readTrusted(text, where, trust)), text };
  const token = readJoinToken(text);
  if ("problem" in token) throw new IdentityError("token", `${saidOf(tokenFile, text, token.problem)}; ${makeOne(tokenFile)}`);
  return { ...token, text };
}

/** Empty, or something else than a token. */
function saidOf(tokenFile: string | null, text: string, problem: string): string {
  const what = tokenFile === null ? `the environment variable ${TOKEN_VARIABLE}` : `the token file ${tokenFile}`;
  return text === "" ? `${what} is empty` : `${what} holds no join token: ${problem}`;
}

/** What to do, where the identity component's folder is. */
function makeOne(tokenFile: string | null): string {
  const command = "weft identity token create --data FOLDER --name NAME --namespace NAMESPACE";
  return `make one where the identity component is: ${command}${tokenFile === null ? "" : ` --file ${tokenFile}`}`;
}

/** A service account's token, with the roots of the file as its pins. */
async function readTrusted(text: string, where: string, { file, mesh }: TokenTrust): Promise<JoinToken> {
  const token = readServiceAccountToken(text, mesh);
  if ("problem" in token) throw new IdentityError("token", `the token in ${where} is of no use: ${token.problem}`);
  const blocks = (await fromFile(file, "trust", ROOTS_LENGTH_MAX, null)).match(CERTIFICATE) ?? [];
  if (blocks.length === 0 || blocks.length > TOKEN_ROOTS_MAX) {
    throw new IdentityError(
      "token",
      `the trust file ${file} has ${blocks.length} certificates in PEM; it must have 1 to ${TOKEN_ROOTS_MAX}`,
    );
  }
  return { ...token, use: "file", roots: blocks.map((block) => fingerprintOf(block, file)) };
}

function fingerprintOf(block: string, file: string): string {
  try {
    return new X509Certificate(block).fingerprint256.replaceAll(":", "").toLowerCase();
  } catch {
    throw new IdentityError("token", `the trust file ${file} has a certificate that cannot be read`);
  }
}

function fromEnvironment(environment: NodeJS.ProcessEnv): string {
  const text = environment[TOKEN_VARIABLE];
  if (text === undefined)
    throw new IdentityError("token", `there is no join token: name its file in spec.identity.token, or set ${TOKEN_VARIABLE}`);
  return text;
}

/** `absentHint`: what to do when it is not there. */
async function fromFile(path: string, what: "token" | "trust", lengthMax: number, absentHint: string | null): Promise<string> {
  try {
    // A pipe would be waited for, in silence and for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile()) throw new IdentityError("token", `the ${what} file ${path} is no file`);
      // One byte more than it may have, and a line end.
      const { buffer, bytesRead } = await file.read(Buffer.alloc(lengthMax + 2), 0, lengthMax + 2, 0);
      return buffer.toString("latin1", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof IdentityError) throw error;
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    const hint = code === "ENOENT" && absentHint !== null ? `, it is not there; ${absentHint}` : "";
    throw new IdentityError("token", `the ${what} file ${path} cannot be read: ${code}${hint}`);
  }
}
