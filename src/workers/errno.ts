// Names of errno values, for labels and messages.

import { getSystemErrorName } from "node:util";

/** libuv's errno for a deadline: a connect that took too long, a peer that takes no bytes. */
export const UV_ETIMEDOUT = -110;

/** `ECONNRESET` for -104; '' for 0. */
export function errnoName(errno: number): string {
  if (errno === 0) return "";
  try {
    return getSystemErrorName(errno);
  } catch {
    return `errno ${-errno}`;
  }
}
