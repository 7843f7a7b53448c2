// An address that cannot be listened on: what a person reads, with what to do about it.

import { formatHostPort } from "../config/address.ts";
import type { HostPort } from "../config/snapshot.ts";

const CAUSES: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process has the port",
  EADDRNOTAVAIL: "this machine does not have that address",
  EACCES: "ports below net.ipv4.ip_unprivileged_port_start (1024) take a privilege",
  WEFT_ADMIN_LISTEN: "the port is taken or the address is not this machine's",
};

/** `code` is Node's name of the errno. */
export class ListenError extends Error {
  readonly code: string;

  constructor(code: string, address: HostPort, advice: string) {
    super(`cannot listen on ${formatHostPort(address)}: ${code}${code in CAUSES ? ` (${CAUSES[code]})` : ""}; ${advice}`);
    this.name = "ListenError";
    this.code = code;
  }
}

/** Is this the end of a start that a person can put right? */
export function isListenError(error: unknown): error is ListenError {
  return error instanceof ListenError;
}
