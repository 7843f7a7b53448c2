// The code that a call to the identity component was refused with.

import type { ConnectError } from "@connectrpc/connect";

/** The code in brackets; `none` when the call succeeded; the error's text when it has no code. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return /^\[([A-Z0-9_]+)\]/.exec((error as ConnectError).rawMessage ?? "")?.[1] ?? String(error);
  }
  return "none";
}
