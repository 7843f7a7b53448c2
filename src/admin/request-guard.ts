// Who may ask what of the admin port: the rules against browsers that were tricked.
//
// A page of any site can make a browser send requests to 127.0.0.1. DNS rebinding (a name of the attacker's that
// resolves to this machine) lets it read the answers too: so a Host must be an address, `localhost`, or the address that
// Weft listens on. A foreign Origin may not change anything nor open a WebSocket, which no same-origin policy protects.

import { isIP, isIPv4 } from "node:net";

/** Methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"]);

/** The host of a Host value or URL authority: no port, no brackets, lower case, no final dot. "" when malformed. */
function hostOf(authority: string): string {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/?#@\s]+))(?::\d{0,5})?$/.exec(authority.trim());
  return (match?.[1] ?? match?.[2] ?? "").toLowerCase().replace(/\.$/, "");
}

/** True when a request may name this host: no Host at all (HTTP/1.0; browsers always send one) is fine. */
export function isAllowedHost(host: string | undefined, listenHost: string): boolean {
  if (host === undefined || host === "") return true;
  const name = hostOf(host);
  return name === "localhost" || isIP(name) !== 0 || (name !== "" && name === hostOf(listenHost));
}

/** True when the Origin is absent or the very host and port that the request was sent to. `null` is foreign. */
export function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  if (host === undefined) return false;
  const authority = /^https?:\/\/([^/]+)$/.exec(origin)?.[1];
  return authority !== undefined && authority.toLowerCase() === host.trim().toLowerCase();
}

/** True when the method promises to change nothing. */
export function isSafeMethod(method: string): boolean {
  return SAFE.has(method);
}

/** Loopback in text: 127.0.0.0/8, ::1, and IPv4-mapped loopback, in any spelling that Node or uWebSockets.js gives. */
export function isLoopbackText(address: string): boolean {
  const text = address.toLowerCase();
  if (isIPv4(text)) return text.startsWith("127.");
  if (text.startsWith("::ffff:")) return isLoopbackText(text.slice(7));
  return text === "::1";
}

/** Loopback in network bytes: 4 for IPv4, 16 for IPv6. */
export function isLoopbackBytes(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  if (address.length !== 16) return false;
  for (let index = 0; index < 10; index += 1) if (address[index] !== 0) return false;
  if (address[10] === 0xff && address[11] === 0xff) return address[12] === 127;
  for (let index = 10; index < 15; index += 1) if (address[index] !== 0) return false;
  return address[15] === 1;
}
