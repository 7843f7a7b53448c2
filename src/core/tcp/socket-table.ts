// The kernel's table of TCP sockets as text (/proc/net/tcp and tcp6): whose socket has an address.
//
// A line's second column is the local address, the eighth the user's number. Addresses are hexadecimal: each 32-bit word in the
// host's order (little-endian), the port in the usual one. An IPv4 address may also stand in tcp6, as an IPv4-mapped one.

import { parseIp } from "../route/ip-literal.ts";

/** The user who has the socket with this local address (canonical, IPv6 without brackets) and port; null when the table has none. */
export function socketOwner(table: string, host: string, port: number): number | null {
  for (const address of spellings(host)) {
    const match = new RegExp(`^ *\\d+: ${address}:${hex(port, 4)} (?:\\S+ +){5}(\\d+) `, "m").exec(table);
    if (match !== null) return Number(match[1]);
  }
  return null;
}

/** As tcp has it, as tcp6 has it. */
function spellings(host: string): string[] {
  if (parseIp(host) !== host) return [];
  if (host.includes(":")) return [words(groupsOf(host))];
  const [a = 0, b = 0, c = 0, d = 0] = host.split(".").map(Number);
  const groups = [a * 256 + b, c * 256 + d];
  return [words(groups), words([0, 0, 0, 0, 0, 0xffff, ...groups])];
}

function groupsOf(ip6: string): number[] {
  const [head = "", tail] = ip6.split("::");
  const numbers = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const before = numbers(head);
  if (tail === undefined) return before;
  const after = numbers(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** Each two groups are a word, its bytes turned round. */
function words(groups: readonly number[]): string {
  let text = "";
  for (let i = 0; i < groups.length; i += 2) {
    const [high = 0, low = 0] = [groups[i], groups[i + 1]];
    text += hex(low & 255, 2) + hex(low >> 8, 2) + hex(high & 255, 2) + hex(high >> 8, 2);
  }
  return text;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
