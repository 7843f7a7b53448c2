// The join token: from its file, read again each time, because whoever renews it replaces the file; or from the environment.
//
// No message ever quotes it.

import { open } from "node:fs/promises";
import { type JoinToken, readJoinToken, TOKEN_LENGTH_MAX } from "../../core/identity/join-token.ts";
import { IdentityError } from "./identity-failure.ts";

export const TOKEN_VARIABLE = "WEFT_IDENTITY_TOKEN";

export interface HeldToken extends JoinToken {
  readonly text: string;
}

/** Rejects with an IdentityError (`token`). */
export async function readToken(tokenFile: string | null, environment: NodeJS.ProcessEnv): Promise<HeldToken> {
  const where = tokenFile ?? TOKEN_VARIABLE;
  const text = (tokenFile === null ? fromEnvironment(environment) : await fromFile(tokenFile)).trim();
  const token = readJoinToken(text);
  if ("problem" in token) throw new IdentityError("token", `the token in ${where} is of no use: ${token.problem}`);
  return { ...token, text };
}

function fromEnvironment(environment: NodeJS.ProcessEnv): string {
  const text = environment[TOKEN_VARIABLE];
  if (text === undefined)
    throw new IdentityError("token", `there is no join token: name its file in spec.identity.token, or set ${TOKEN_VARIABLE}`);
  return text;
}

async function fromFile(path: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      // One byte more than a token may have, and a line end.
      const { buffer, bytesRead } = await file.read(Buffer.alloc(TOKEN_LENGTH_MAX + 2), 0, TOKEN_LENGTH_MAX + 2, 0);
      return buffer.toString("latin1", 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw new IdentityError("token", `the token file ${path} cannot be read: ${code}`);
  }
}
