// Names of errno values, for labels and messages; and numbers beside them for connects that fail for a reason of Weft's own.

import { getSystemErrorName } from "node:util";
import { ERRORS, errorCode } from "../core/errors/error-codes.ts";

/** libuv's errno for a deadline: a connect that took too long, a peer that takes no bytes. */
export const UV_ETIMEDOUT = -110;
/** A peer that broke off. */
export const UV_ECONNRESET = -104;
/** Nobody there, or nobody who takes it. */
export const UV_ECONNREFUSED = -111;

/** Beyond everything that libuv has. */
const OWN_BASE = 100_000;

/** A number that stands for a row of core/errors where an errno is expected. */
export function errnoOf(errorId: number): number {
  return -(OWN_BASE + errorId);
}

/** Why a connection to another proxy of the mesh was closed on which PING got no answer. */
export const SILENT: number = errnoOf(ERRORS.WEFT_MESH_SILENT.id);

/** What answered the mesh TLS handshake does not speak TLS. */
export const ANSWERED_PLAIN: number = errnoOf(ERRORS.WEFT_MESH_PLAIN.id);

/** A number that `errnoOf` made. */
export function isOwnErrno(errno: number): boolean {
  return errno <= -OWN_BASE;
}

/** What a failed connect is in the table of errors. */
export function connectErrorId(errno: number): number {
  if (isOwnErrno(errno)) return -errno - OWN_BASE;
  return errno === UV_ETIMEDOUT ? ERRORS.WEFT_CONNECT_TIMEOUT.id : ERRORS.WEFT_CONNECT_FAILED.id;
}

/** `ECONNRESET` for -104; '' for 0; the code for what is Weft's own. */
export function errnoName(errno: number): string {
  if (errno === 0) return "";
  if (isOwnErrno(errno)) return errorCode(connectErrorId(errno));
  try {
    return getSystemErrorName(errno);
  } catch {
    return `errno ${-errno}`;
  }
}
