// Why another proxy of the mesh answered in its application's place: what it says in `l5d-proxy-error`. Applications cannot send that
// field through a proxy, and clients do not get it (linkerd.md 3.1): it is for the log and the metrics of the proxy that asked.

import { type ErrorCode, ERRORS } from "../core/errors/error-codes.ts";
import { FIELD_STRIDE, FieldId, type MessageHead } from "../core/http/head.ts";

/** Characters of a reason that are kept. */
const REASON_CHARACTERS_MAX = 256;

/** `[CODE] cause`, as Weft's proxies say it; Linkerd's say only what happened. */
const CODE = /^\[(WEFT_[A-Z0-9_]{1,60})\]/;

/**
 * The proxy there could not connect to its application, or has given up for now. Nothing of the request reached that, but for an idempotent one that was
 * lost with a pooled connection, or a reset one, and tried again: the application may have seen that, and have ended by it.
 */
const UNREACHED: ReadonlySet<number> = new Set([ERRORS.WEFT_CONNECT_FAILED.id, ERRORS.WEFT_CONNECT_TIMEOUT.id, ERRORS.WEFT_FAIL_FAST.id]);

/** `errorId`: what `peerErrorCode` found; 0 for nothing. */
export function isUnreached(errorId: number): boolean {
  return UNREACHED.has(errorId);
}

/** What the answer says, null when it is the application's own. */
export function peerReason(head: MessageHead): string | null {
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== FieldId.l5dProxyError) continue;
    const row = i * FIELD_STRIDE;
    return head.text(head.fields[row + 2]!, head.fields[row + 3]!).slice(0, REASON_CHARACTERS_MAX);
  }
  return null;
}

/** The code that a reason begins with, null for none that this version knows. */
export function peerErrorCode(reason: string): ErrorCode | null {
  const code = CODE.exec(reason)?.[1];
  return code !== undefined && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : null;
}
