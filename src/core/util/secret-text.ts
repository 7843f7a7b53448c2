// Secrets by their look: JSON Web Tokens and PEM, also where a path or an address belongs.
//
// For whatever repeats what somebody wrote: messages, logs, answers. A message may show only the beginning of a value, so the
// beginning of a token is hidden, too.

/** What stands in the place of a secret. */
export const HIDDEN = "(hidden)";

/** `{"` in base64url, as long as the shortest header, then what there is of the rest. */
const TOKEN_START = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{17,}[A-Za-z0-9_.-]*/g;

/** With claims, and a signature or the place of one. No name of a file that anybody chose looks like this. */
const TOKEN = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{17,}\.[A-Za-z0-9_-]{8,}/;

/** As it is, or with its line ends written as in JSON, or folded to spaces by YAML. The line alone, as a message names it, is none. */
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:\s|\\n)*[A-Za-z0-9+/=](?:[A-Za-z0-9+/=:,\s-]|\\n)*/g;

const CERTIFICATE = /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/;

export type ContentKind = "token" | "private key" | "certificate";

/** What a text holds that belongs into a file; null for any other. White space within it does not count: YAML folds lines. */
export function contentKind(text: string): ContentKind | null {
  if (TOKEN.test(text) || TOKEN.test(text.replaceAll(/\s/g, ""))) return "token";
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)) return "private key";
  return CERTIFICATE.test(text) ? "certificate" : null;
}

/** The text without the tokens and private keys in it. */
export function withoutSecrets(text: string): string {
  return text.replaceAll(TOKEN_START, HIDDEN).replaceAll(PRIVATE_KEY, HIDDEN);
}
