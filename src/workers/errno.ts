// Names of errno values, for labels and messages.

import { getSystemErrorName } from "node:util";

/** `ECONNRESET` for -104; '' for 0. */
export function errnoName(errno: number): string {
  if (errno === 0) return "";
  try {
    return getSystemErrorName(errno);
  } catch {
    return `errno ${-errno}`;
  }
}
