// /env.json: the environment as a JSON object, Linkerd's query grammar, secrets hidden.
//
// `?A&B` restricts the answer to these names, absent ones are null; a `=` in the query is a mistake (400). A value whose
// name suggests a secret is replaced, and so is WEFT_CONFIG: /config.json shows what became of it.

import type { AdminRequest, AdminResponse } from "./admin-server.ts";

/** Parts of names whose values are nobody's business. */
const SECRET = /SECRET|TOKEN|PASS|PWD|CREDENTIAL|PRIVATE|APIKEY|(^|_)(KEY|AUTH|COOKIE|DSN|WEFT_CONFIG)(_|$)|^WEFT_CONFIG$/i;

/** `user:password@` inside a URL, whatever the variable is called. */
const USER_INFO = /(\/\/)[^/\s@]+@/g;

const REDACTED = "[redacted]";

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
  return SECRET.test(name) ? REDACTED : value.replace(USER_INFO, `$1${REDACTED}@`);
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
