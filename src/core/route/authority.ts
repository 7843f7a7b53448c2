// What an authority (Host, `:authority`, the target of an absolute-form request, l5d-dst-override) names: `host[:port]`.
//
// Strict by RFC 3986 section 3.2: no user information, no zone, a port of digits. Refused too are hosts whose last label is a
// number but which are no IPv4 literal (`127.1`, `0x7f.1`): a resolver would turn them into addresses behind our back.

import { parseIpv4, parseIpv6 } from "./ip-literal.ts";

export interface Authority {
  /** Lower-case name without trailing dot, or canonical IP address without brackets; empty when there was none. */
  readonly host: string;
  /** 0 to 65535, `null` when none was given. */
  readonly port: number | null;
  readonly isIp: boolean;
}

/** Longest name that DNS knows (RFC 1035 section 2.3.4), without its trailing dot. */
const HOST_LENGTH_MAX = 253;
const NAME_PATTERN = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;
const NUMBER_PATTERN = /^([0-9]+|0x[0-9a-f]*)$/;

/** The parts of an authority, `null` when it is malformed. The empty text is well-formed: it names nothing. */
export function parseAuthority(text: string): Authority | null {
  if (text === "") return { host: "", port: null, isIp: false };
  const hostEnd = text.startsWith("[") ? text.indexOf("]") + 1 : indexOrEnd(text, ":");
  if (hostEnd === 0) return null;
  const port = parsePortSuffix(text.slice(hostEnd));
  if (port === undefined) return null;
  const host = text.slice(0, hostEnd);
  if (host.startsWith("[")) {
    const ip = parseIpv6(host.slice(1, -1));
    return ip === null ? null : { host: ip, port, isIp: true };
  }
  const ip = parseIpv4(host);
  if (ip !== null) return { host: ip, port, isIp: true };
  const name = normalizeHostName(host);
  return name === null ? null : { host: name, port, isIp: false };
}

/** Lower case, without the one trailing dot of an absolute name; `null` when it cannot be a name. */
export function normalizeHostName(text: string): string | null {
  const name = (text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
  if (name.length > HOST_LENGTH_MAX || !NAME_PATTERN.test(name)) return null;
  return NUMBER_PATTERN.test(name.slice(name.lastIndexOf(".") + 1)) ? null : name;
}

/** True for names that mean the host itself (RFC 6761 section 6.3). */
export function isLocalhost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost");
}

/** A port as decimal digits, 0 to 65535; `null` otherwise. */
export function parsePort(text: string): number | null {
  if (!/^[0-9]{1,5}$/.test(text)) return null;
  const port = Number(text);
  return port <= 65535 ? port : null;
}

/** `null` for no port (also `host:`, RFC 3986 section 3.2.3), `undefined` for a malformed one. */
function parsePortSuffix(text: string): number | null | undefined {
  if (text === "" || text === ":") return null;
  if (!text.startsWith(":")) return undefined;
  return parsePort(text.slice(1)) ?? undefined;
}

function indexOrEnd(text: string, character: string): number {
  const index = text.indexOf(character);
  return index < 0 ? text.length : index;
}
