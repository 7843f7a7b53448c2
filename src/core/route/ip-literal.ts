// IP address literals as text: recognised strictly, written in one form.
//
// IPv4 is four decimal numbers without leading zeros; the older spellings that resolvers still take (`127.1`,
// `0x7f.0.0.1`, `2130706433`) are refused, because two readers would see two different hosts. IPv6 is RFC 4291 section 2.2
// without a zone; it is written by RFC 5952, and IPv4-mapped addresses become IPv4, so that equal addresses are equal text.

const GROUPS = 8;

/** The canonical text of an IPv4 literal, `null` when it is none. */
export function parseIpv4(text: string): string | null {
  if (text.length < 7 || text.length > 15) return null;
  const parts = text.split(".");
  return parts.length === 4 && parts.every(isByte) ? text : null;
}

/** The canonical text of an IPv6 literal without brackets (IPv4-mapped: the IPv4 text), `null` when it is none. */
export function parseIpv6(text: string): string | null {
  if (text.length < 2 || text.length > 45 || !text.includes(":")) return null;
  const groups = parseGroups(text);
  if (groups === null) return null;
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  return isMapped ? embeddedIpv4(groups[6] ?? 0, groups[7] ?? 0) : formatGroups(groups);
}

/** The canonical text of an IP literal without brackets, `null` when it is none. */
export function parseIp(text: string): string | null {
  return parseIpv4(text) ?? parseIpv6(text);
}

/** The 16-bit groups of a canonical address: 2 of IPv4, 8 of IPv6. `null` for any other text. */
export function ipGroups(ip: string): readonly number[] | null {
  if (ip.includes(":")) return parseGroups(ip);
  if (parseIpv4(ip) === null) return null;
  const [a = 0, b = 0, c = 0, d = 0] = ip.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
}

/** The canonical text of `ipGroups`' groups. */
export function formatIpGroups(groups: readonly number[]): string {
  return groups.length === GROUPS ? formatGroups(groups) : embeddedIpv4(groups[0] ?? 0, groups[1] ?? 0);
}

/** A canonical address that only this host can reach. */
export function isLoopback(ip: string): boolean {
  return ip === "::1" || (ip.startsWith("127.") && !ip.includes(":"));
}

/** The canonical address that means every address of the host. */
export function isWildcard(ip: string): boolean {
  return ip === "0.0.0.0" || ip === "::";
}

function isByte(text: string): boolean {
  return /^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255;
}

function parseGroups(text: string): number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = parseHalf(halves[0] ?? "", halves.length === 1);
  if (head === null) return null;
  if (halves.length === 1) return head.length === GROUPS ? head : null;
  const tail = parseHalf(halves[1] ?? "", true);
  if (tail === null) return null;
  const missing = GROUPS - head.length - tail.length;
  return missing < 1 ? null : [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** The groups on one side of `::`. Only the last group of the whole address may be an IPv4 literal. */
function parseHalf(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else if (mayEndInIpv4 && index === parts.length - 1 && parseIpv4(part) !== null) {
      const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
      groups.push(a * 256 + b, c * 256 + d);
    } else {
      return null;
    }
  }
  return groups;
}

function embeddedIpv4(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** Eight 16-bit numbers by RFC 5952 section 4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
export function formatGroups(groups: readonly number[]): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < GROUPS; start++) {
    let length = 0;
    while (start + length < GROUPS && groups[start + length] === 0) length++;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  const write = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  if (bestStart < 0) return write(groups);
  return `${write(groups.slice(0, bestStart))}::${write(groups.slice(bestStart + bestLength))}`;
}
