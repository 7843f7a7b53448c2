// state.json of the data folder, read strictly: a file that was damaged or edited is refused as a whole, never taken in part.

import { ROOTS_MAX } from "../../core/identity/rotation.ts";
import type { IssuerState, RootState, RotationState } from "../../core/identity/rotation.ts";

/** The state, null for any text that is not one. */
export function parseRotationState(text: string): RotationState | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value) || value["format"] !== 1) return null;
  const { version, versionAtMs, roots, issuers } = value;
  if (!isTime(version) || version === 0 || !isTime(versionAtMs) || !Array.isArray(roots) || !Array.isArray(issuers)) return null;
  if (!roots.every(isRoot) || !issuers.every(isIssuer) || roots.length === 0 || roots.length > ROOTS_MAX) return null;
  const ids = new Set(roots.map(({ id }) => id));
  if (ids.size !== roots.length || !issuers.every(({ rootId }) => ids.has(rootId))) return null;
  return { version, versionAtMs, roots, issuers };
}

function isRoot(value: unknown): value is RootState {
  return (
    isRecord(value) &&
    isId(value["id"]) &&
    ["notBeforeMs", "notAfterMs", "announcedAtMs", "leavesEndMs"].every((name) => isTime(value[name])) &&
    ["activatedAtMs", "retiredAtMs"].every((name) => value[name] === null || isTime(value[name]))
  );
}

function isIssuer(value: unknown): value is IssuerState {
  return isRecord(value) && isId(value["id"]) && isId(value["rootId"]) && isTime(value["notBeforeMs"]) && isTime(value["notAfterMs"]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Ids become file names. */
function isId(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{8}$/.test(value);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
