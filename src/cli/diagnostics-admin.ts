// Asks a running proxy's admin port: what it says of its identity, and its metrics. Bounded in time and bytes; what comes back is checked.

import { request } from "node:http";
import { formatHostPort } from "../config/address.ts";
import type { HostPort } from "../config/snapshot.ts";

/** A proxy answers from memory; one whose workers stand still takes longer than that. */
const ANSWER_MS = 5_000;
/** /metrics of a proxy with every series that it may have is below this. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** Why a proxy could not be asked, in words. */
export class AdminProblem extends Error {
  override readonly name = "AdminProblem";
}

export interface RootStatus {
  readonly subject: string;
  readonly fingerprint: string;
  readonly notAfter: string;
}

/** `identity` of /stats.json (workers/identity/identity-status.ts). */
export interface ProxyIdentityStatus {
  readonly name: string | null;
  readonly state: "waiting" | "valid" | "ended";
  readonly source: "controller" | "files";
  readonly controller: string | null;
  readonly isControllerReached: boolean | null;
  readonly certificate: {
    readonly issuer: string;
    readonly serialNumber: string;
    readonly fingerprint: string;
    readonly notBefore: string;
    readonly notAfter: string;
  } | null;
  readonly roots: readonly RootStatus[];
  readonly trustVersion: number | null;
  readonly receivedAt: string | null;
  readonly nextAttemptAt: string | null;
  readonly failedAttempts: number;
  readonly lastFailure: { readonly at: string; readonly reason: string; readonly message: string } | null;
}

/** What the proxy says of itself; `identity` is null for one that is in no mesh. Rejects with an AdminProblem. */
export async function askStatus(place: HostPort): Promise<{ readonly identity: ProxyIdentityStatus | null }> {
  const text = await askProxy(place, "/stats.json");
  let stats: Record<string, unknown>;
  try {
    stats = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new AdminProblem(`${formatHostPort(place)} is no proxy's admin port: its answer is no JSON`);
  }
  const { identity } = stats;
  if (identity === null) return { identity: null };
  if (identity === undefined) throw new AdminProblem(`${formatHostPort(place)} says nothing of an identity: it is an older proxy, or none`);
  if (!isStatus(identity)) throw new AdminProblem(`${formatHostPort(place)} says of its identity what this command does not understand`);
  return { identity };
}

/** The text of a GET. Rejects with an AdminProblem. */
export async function askProxy(place: HostPort, path: string): Promise<string> {
  const address = formatHostPort(place);
  return await new Promise((resolve, reject) => {
    const fail = (text: string): void => reject(new AdminProblem(text));
    // The guard against rebinding is about browsers; a proxy may be asked by whatever name it is reached.
    const options = { agent: false, headers: { host: "localhost" }, signal: AbortSignal.timeout(ANSWER_MS) };
    const call = request(`http://${address}${path}`, options, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > ANSWER_BYTES_MAX) response.destroy(new Error("its answer has no end"));
      });
      response.on("error", (error) => fail(`the admin port ${address}: ${error.message}`));
      response.on("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString("utf8"));
        else fail(`the admin port ${address} answers ${response.statusCode} to ${path}`);
      });
    });
    call.on("error", (error: NodeJS.ErrnoException) =>
      fail(
        `the admin port ${address} ${error.name === "AbortError" || error.name === "TimeoutError" ? `does not answer within ${ANSWER_MS / 1000} s` : `cannot be asked: ${error.message || error.code}`}`,
      ),
    );
    call.end();
  });
}

function isStatus(value: unknown): value is ProxyIdentityStatus {
  if (!isRecord(value)) return false;
  const { name, state, source, controller, certificate, roots, nextAttemptAt, failedAttempts, lastFailure } = value;
  return (
    [name, controller, nextAttemptAt].every((text) => text === null || typeof text === "string") &&
    hasTexts({ state, source }, ["state", "source"]) &&
    (certificate === null || hasTexts(certificate, ["issuer", "serialNumber", "fingerprint", "notBefore", "notAfter"])) &&
    Array.isArray(roots) &&
    roots.every((root) => hasTexts(root, ["subject", "fingerprint", "notAfter"])) &&
    typeof failedAttempts === "number" &&
    (lastFailure === null || hasTexts(lastFailure, ["at", "reason", "message"]))
  );
}

function hasTexts(value: unknown, names: readonly string[]): boolean {
  return isRecord(value) && names.every((name) => typeof value[name] === "string");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
