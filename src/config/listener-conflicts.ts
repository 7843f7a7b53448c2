// Which addresses meet: two listeners that cannot both be bound, an endpoint that is the proxy itself.
//
// Only what the text says is known here: loopback and wildcard addresses, not the host's other addresses or what a name
// resolves to. Those are checked again when a connection is dialled.

import { isLocalhost } from "../core/route/authority.ts";
import { isLoopback, isWildcard } from "../core/route/ip-literal.ts";
import type { HostPort } from "./snapshot.ts";

/** True when both cannot listen at once. Port 0 is any free port and collides with nothing. */
export function collide(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || covers(a.host, b.host) || covers(b.host, a.host);
}

/** True when whoever connects to `endpoint` reaches `listener`. */
export function reaches(endpoint: HostPort, listener: HostPort): boolean {
  if (endpoint.port !== listener.port || listener.port === 0) return false;
  if (isLocalhost(endpoint.host)) return isWildcard(listener.host) || isLoopback(listener.host);
  return endpoint.host === listener.host || (isLoopback(endpoint.host) && covers(listener.host, endpoint.host));
}

/** `::` is bound for both families. */
function covers(wildcard: string, host: string): boolean {
  return wildcard === "::" || (wildcard === "0.0.0.0" && !host.includes(":"));
}
