// Networks in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3) and the addresses in them.
//
// Refused: a prefix that is missing, too long or written oddly (`/08`), address bits behind the prefix (`10.1.2.3/8`: was /32 meant, or
// 10.0.0.0?), and IPv4 written as IPv6. An IPv4-mapped client is an IPv4 client, so no network of IPv6 has it, `::/0` neither.
// What is no address is in no network.

import { formatIpGroups, ipGroups, parseIp } from "../route/ip-literal.ts";

/** An address or the beginning of a network: 2 groups of 16 bits for IPv4, 8 for IPv6. */
export type Address = readonly number[];

export interface Network {
  readonly base: Address;
  /** Bits that count, from the left. */
  readonly prefix: number;
}

/** What is wrong with a text, and what may have been meant. */
export interface NetworkMistake {
  readonly problem: string;
  readonly hint: string;
}

const GROUP_BITS = 16;
const CIDR = /^([0-9a-fA-F:.]+)\/(0|[1-9][0-9]{0,2})$/;

/** Reads `10.0.0.0/8` or `fd00::/8`. */
export function parseNetwork(text: string): { readonly ok: Network } | { readonly mistake: NetworkMistake } {
  const [, literal = "", digits = ""] = CIDR.exec(text) ?? [];
  const ip = parseIp(literal);
  const base = ip === null ? null : ipGroups(ip);
  if (ip === null || base === null) {
    const alone = parseIp(text);
    const whole = alone === null ? null : `${alone}/${alone.includes(":") ? 128 : 32}`;
    return mistake("is no network", whole === null ? "write it as 10.0.0.0/8 or fd00::/8" : `for one address write ${whole}`);
  }
  const prefix = Number(digits);
  const bits = base.length * GROUP_BITS;
  if (literal.includes(":") && !ip.includes(":")) {
    const hint = prefix < 96 ? "write networks of IPv4 as 10.0.0.0/8" : `write it as ${ip}/${prefix - 96}`;
    return mistake("writes an IPv4 network as IPv6", hint);
  }
  if (prefix > bits) return mistake(`has a prefix of more than ${bits} bits`, `for one address write ${ip}/${bits}`);
  const start = cut(base, prefix);
  if (start.some((group, index) => group !== base[index])) {
    return mistake("has address bits behind its prefix", `did you mean ${formatIpGroups(start)}/${prefix}, or ${ip}/${bits}?`);
  }
  return { ok: { base, prefix } };
}

/** The canonical text of a network: equal networks are equal text. */
export function formatNetwork({ base, prefix }: Network): string {
  return `${formatIpGroups(base)}/${prefix}`;
}

/** A peer's address as the kernel tells it, with or without a zone; IPv4-mapped is IPv4. Null for anything else. */
export function parseAddress(text: string): Address | null {
  const zone = text.indexOf("%");
  const ip = parseIp(zone < 0 ? text : text.slice(0, zone));
  return ip === null ? null : ipGroups(ip);
}

/** Is the address in the network? Addresses of the other family never are. */
export function isInNetwork(address: Address, { base, prefix }: Network): boolean {
  if (address.length !== base.length) return false;
  const whole = Math.floor(prefix / GROUP_BITS);
  for (let i = 0; i < whole; i++) {
    if (address[i] !== base[i]) return false;
  }
  const rest = prefix % GROUP_BITS;
  return rest === 0 || (address[whole]! ^ base[whole]!) >>> (GROUP_BITS - rest) === 0;
}

/** Is every address of `inner` one of `outer`? */
export function isNetworkWithin(inner: Network, outer: Network): boolean {
  return inner.prefix >= outer.prefix && isInNetwork(inner.base, outer);
}

/** The address with every bit behind the prefix 0. */
function cut(address: Address, prefix: number): Address {
  return address.map((group, index) => {
    const kept = Math.min(GROUP_BITS, Math.max(0, prefix - index * GROUP_BITS));
    return group & (0xffff << (GROUP_BITS - kept)) & 0xffff;
  });
}

function mistake(problem: string, hint: string): { readonly mistake: NetworkMistake } {
  return { mistake: { problem, hint } };
}
