// What a Proxy document that says nothing gets. One place for the files, the command line and the documentation.

import { parseHostPort } from "./address.ts";
import type { HostPort } from "./snapshot.ts";

/** Outbound: where clients on this host send their requests. Loopback: whoever reaches it speaks for this host. */
export const OUTBOUND_LISTEN = "127.0.0.1:4140";
/** Admin: metrics, readiness, shutdown. Loopback by default, since it tells a lot. */
export const ADMIN_LISTEN = "127.0.0.1:4191";
/** Inbound has no default for whether it is there; where it is, this is what clients elsewhere connect to. */
export const INBOUND_LISTEN = "0.0.0.0:4143";
export const NAMESPACE = "default";
export const LOG_LEVEL = "info";
export const LOAD_BALANCER = "ewma";

/** One of the addresses above, parsed. */
export function defaultAddress(text: string): HostPort {
  const result = parseHostPort(text, "listen");
  if ("mistake" in result) throw new Error(`the default ${text} is no address: ${result.mistake.message}`);
  return result.ok;
}
