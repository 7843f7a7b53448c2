// /env.json: the environment as a JSON object, Linkerd's query grammar, secrets hidden.
//
// `?A&B` restricts the answer to these names, absent ones are null; a `=` in the query is a mistake (400). A value is hidden when its
// name suggests a secret, when it looks like one, or sets one (`password=...`); of a URL only the credentials are. Rather too much than too little:
// whoever asks may look at the process itself. WEFT_CONFIG is hidden as well: /config.json shows what became of it.

import { HIDDEN, withoutSecrets } from "../core/util/secret-text.ts";
import type { AdminRequest, AdminResponse } from "./admin-server.ts";

/** Parts of names whose values are nobody's business. Short ones must be a word of the name: PATH has a PAT in it. */
const SECRET_NAME =
  /TOKEN|SECRET|PASS|PWD|KEY|CREDENTIAL|CREDS|PRIVATE|AUTH(?!ORS?(?:_|$))|COOKIE|BEARER|JWT|WEBHOOK|CONN(?:ECTION)?_?STR|WEFT_CONFIG|(?:^|_)(?:PAT|PIN|OTP|DSN|SALT)(?:_|$)/i;

/** Settings within a value: of connection strings, queries, options, JSON. */
const SECRET_SETTING =
  /(?:token|secret|pass(?:word|wd|phrase)?|pwd|(?:api|access|account|private|shared|signing|secret)[_-]?(?:access)?[_-]?key|sig|signature|credentials?)(?:["']?\s*=\s*|["']\s*:\s*|:\s+)\S/i;

/** Also one whose password has the signs in it that it should not have; rather part of a path is hidden, too. */
const URL_CREDENTIALS = /(\/\/)[^\s"'<>]*@/g;

/** `user:password@host` without a scheme. */
const CREDENTIALS = /^[^\s:@/]+:(?!\/\/)[^\s@]+@/;

/** Answers GET /env.json. */
export function environmentResponse(request: AdminRequest, environment: Readonly<Record<string, string | undefined>>): AdminResponse {
  if (!acceptsJson(request.headers["accept"])) return { status: 406, body: "" };
  if (request.query.includes("=")) {
    return json(400, { error: "the query takes names only, as in ?HOME&PATH", status: 400 });
  }
  const names = request.query === "" ? Object.keys(environment).sort() : request.query.split("&").filter((name) => name !== "");
  const shown: Record<string, string | null> = Object.create(null);
  for (const name of names) shown[name] = Object.hasOwn(environment, name) ? visible(name, environment[name]) : null;
  return json(200, shown);
}

function visible(name: string, value: string | undefined): string | null {
  if (value === undefined) return null;
  if (SECRET_NAME.test(name) || withoutSecrets(value) !== value || SECRET_SETTING.test(value)) return HIDDEN;
  return value.replaceAll(URL_CREDENTIALS, `$1${HIDDEN}@`).replace(CREDENTIALS, `${HIDDEN}@`);
}

function json(status: number, value: object): AdminResponse {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(value) };
}

/** True without an Accept, or with one that admits application/json with a weight above 0 (RFC 9110 section 12.5.1). */
function acceptsJson(accept: string | undefined): boolean {
  if (accept === undefined || accept.trim() === "") return true;
  return accept.split(",").some((range) => {
    const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const isJson = type === "application/json" || type === "application/*" || type === "*/*";
    return isJson && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}
