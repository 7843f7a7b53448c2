// The admin port of the identity component.
//
//   /live /ready /metrics                      anybody
//   GET  /identity/status                      clients on this machine
//   POST /identity/rotate?what=root|issuer     clients on this machine that show the secret of the data folder
//   POST /identity/tokens                      the same; {"name", "namespace", "use", "ttlSeconds"} in, {"token"} out
//
// The secret: other users' processes on the machine reach the loopback address too, and must not be able to make themselves tokens.

import { createHash, timingSafeEqual } from "node:crypto";
import type { AdminRequest, AdminResponse, AdminServer } from "../../admin/admin-server.ts";
import { textResponse } from "../../admin/dispatcher.ts";
import { paced } from "../../admin/streams.ts";
import { identityProblem, isSameIdentity } from "../../core/identity/names.ts";
import { CONTENT_TYPE } from "../../core/telemetry/prometheus.ts";
import type { Authority, IdentityLog } from "./authority.ts";
import { ownIdentity } from "./data-folder.ts";
import type { MeshNames } from "./data-folder.ts";
import type { JoinTokens } from "./join-tokens.ts";
import type { IdentityMetrics } from "./metrics.ts";
import { fingerprintOf } from "./x509.ts";

const JSON_TYPE = { "content-type": "application/json" };

export interface AdminParts {
  readonly names: MeshNames;
  readonly authority: Authority;
  readonly joinTokens: JoinTokens;
  readonly metrics: IdentityMetrics;
  readonly isReady: () => boolean;
  readonly secret: string;
  readonly log: IdentityLog;
}

/** Adds the routes. */
export function adminRoutes(server: AdminServer, parts: AdminParts): void {
  const open = { openToNames: true };
  const local = { loopbackOnly: true };
  server.route("*", "/live", () => textResponse(200, "live\n"), open);
  server.route("*", "/ready", () => (parts.isReady() ? textResponse(200, "ready\n") : textResponse(503, "not ready\n")), open);
  server.route(
    "*",
    "/metrics",
    async () => ({ status: 200, headers: { "content-type": CONTENT_TYPE }, body: paced(await parts.metrics.text()) }),
    open,
  );
  server.route("GET", "/identity/status", () => jsonResponse({ ...parts.names, ...parts.authority.status }), local);
  server.route("POST", "/identity/rotate", (request) => authorized(parts, request, rotate), local);
  server.route("POST", "/identity/tokens", (request) => authorized(parts, request, makeToken), local);
}

type Change = (parts: AdminParts, request: AdminRequest) => Promise<AdminResponse>;

async function authorized(parts: AdminParts, request: AdminRequest, change: Change): Promise<AdminResponse> {
  const given = /^Bearer ([A-Za-z0-9_-]{1,128})$/.exec(request.headers["authorization"] ?? "")?.[1] ?? "";
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  if (timingSafeEqual(digest(given), digest(parts.secret))) return await change(parts, request);
  return textResponse(401, "this needs `authorization: Bearer` and the content of admin.secret in the data folder\n");
}

async function rotate(parts: AdminParts, { query }: AdminRequest): Promise<AdminResponse> {
  const what = /^what=(root|issuer)$/.exec(query)?.[1];
  if (what !== "root" && what !== "issuer") return textResponse(400, "say ?what=issuer or ?what=root\n");
  try {
    const message = await parts.authority.rotate(what);
    parts.log("info", "a rotation was asked for", { what, message });
    return textResponse(200, `${message}\n`);
  } catch (error) {
    return textResponse(409, `${(error as Error).message}\n`);
  }
}

async function makeToken(parts: AdminParts, { body }: AdminRequest): Promise<AdminResponse> {
  let order: Record<string, unknown>;
  try {
    order = JSON.parse(body) as Record<string, unknown>;
  } catch {
    return textResponse(400, "the body is no JSON\n");
  }
  const { name, namespace, use, ttlSeconds } = order ?? {};
  if (typeof name !== "string" || typeof namespace !== "string" || (use !== "once" && use !== "file") || typeof ttlSeconds !== "number") {
    return textResponse(400, 'expected {"name": "web", "namespace": "shop", "use": "once" or "file", "ttlSeconds": 3600}\n');
  }
  const identity = { account: name, namespace, ...parts.names };
  const problem =
    identityProblem(identity) ??
    (isSameIdentity(identity, ownIdentity(parts.names)) ? "nobody but the identity component is called that" : null);
  if (problem !== null) return textResponse(400, `${problem}\n`);
  try {
    const roots = parts.authority.bundle.roots.map(fingerprintOf);
    return jsonResponse({ token: await parts.joinTokens.create({ identity, use, ttlS: ttlSeconds, roots }) });
  } catch (error) {
    if (error instanceof RangeError) return textResponse(400, `${error.message}\n`);
    throw error;
  }
}

function jsonResponse(value: object): AdminResponse {
  return { status: 200, headers: JSON_TYPE, body: `${JSON.stringify(value)}\n` };
}
