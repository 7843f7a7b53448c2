// The kernel's `sockaddr_in` and `sockaddr_in6` as bytes, to an address in Weft's one spelling.
//
// Linux's layout, little-endian hosts: the family in the host's order, the port in the network's. IPv4-mapped IPv6
// addresses (RFC 4291 section 2.5.5.2) become IPv4, so that equal places are equal text. Refuses every other family.

import type { Buffer } from "node:buffer";
import { formatGroups } from "../route/ip-literal.ts";

/** Room for the larger of the two. */
export const SOCKET_ADDRESS_BYTES = 28;

const AF_INET = 2;
const AF_INET6 = 10;
const GROUPS = 8;

export interface SocketAddress {
  /** Canonical, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Reads a socket address from the beginning of at least `SOCKET_ADDRESS_BYTES` bytes; null for a family that is no internet family. */
export function readSocketAddress(bytes: Buffer): SocketAddress | null {
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  if (family === AF_INET) return { host: ipv4At(bytes, 4), port };
  if (family !== AF_INET6) return null;
  const groups: number[] = [];
  for (let i = 0; i < GROUPS; i++) groups.push(bytes.readUInt16BE(8 + 2 * i));
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  return { host: isMapped ? ipv4At(bytes, 20) : formatGroups(groups), port };
}

function ipv4At(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}
