// Join tokens whose signature nobody checks: for tests of those who hold them.

import { Buffer } from "node:buffer";
import { TOKEN_AUDIENCE, TOKEN_ISSUER } from "../../src/core/identity/join-token.ts";
import { parseIdentityName } from "../../src/core/identity/names.ts";

export interface TokenOptions {
  readonly identity: string;
  readonly use?: "once" | "file";
  readonly roots?: readonly string[];
}

export function joinToken({ identity, use = "file", roots = ["0".repeat(64)] }: TokenOptions): string {
  const claims = {
    iss: TOKEN_ISSUER,
    aud: TOKEN_AUDIENCE,
    sub: identity,
    trust_domain: parseIdentityName(identity)!.trustDomain,
    roots,
    use,
    exp: Math.floor(Date.now() / 1000) + 3600,
  };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "ES256", typ: "weft-join+jwt" })}.${part(claims)}.${Buffer.alloc(64, 1).toString("base64url")}`;
}
