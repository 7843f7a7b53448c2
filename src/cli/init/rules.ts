// The iptables rules that bring a network namespace's TCP connections to its proxy, as text. Pure.
//
//   PREROUTING -> WEFT_INBOUND    to this host: ports to ignore pass, the rest goes to the proxy's inbound port
//   OUTPUT     -> WEFT_OUTBOUND   from this host: the proxy's own, loopback, DNS, subnets and ports to ignore pass, the rest goes to
//                                 its outbound port
//
// The scripts are for `iptables-restore --noflush`: one transaction per family, chains of our own replaced as a whole, jumps to
// them removed wherever they stand and added once. So writing twice is writing once, and other rules of the table stay.
// UDP is left alone. Connections that exist already keep their way: the nat table sees only first packets.

import { parseIp } from "../../core/route/ip-literal.ts";

export const INBOUND_CHAIN = "WEFT_INBOUND";
export const OUTBOUND_CHAIN = "WEFT_OUTBOUND";

/** Weft's own ports that must stay reachable from outside: tap and admin. */
const OWN_PORTS = "4190:4191";
const DNS_PORT = "53";
/** Ports that one `multiport` match takes; a range counts as two. */
const MULTIPORT_MAX = 15;

/** In the words of iptables-save: from a chain of others to one of ours, and within ours. */
const OUR_JUMP = /^-A (?!WEFT_INBOUND |WEFT_OUTBOUND )\S+ .*-j (?:WEFT_INBOUND|WEFT_OUTBOUND)$/;
const OUR_RULE = /^-A (?:WEFT_INBOUND|WEFT_OUTBOUND) /;

/** `ipv4`: iptables; `ipv6`: ip6tables. */
export type Family = "ipv4" | "ipv6";

/** Destinations of each family that never leave the host, or that a proxy could not dial in another's name. */
const LOCAL_SUBNETS: Readonly<Record<Family, readonly string[]>> = { ipv4: ["127.0.0.0/8"], ipv6: ["::1/128", "fe80::/10"] };

export interface RedirectOptions {
  /** Where the proxy takes connections from elsewhere; null: those are left alone. */
  readonly inboundPort: number | null;
  /** Where it takes those of this host; null: those are left alone. */
  readonly outboundPort: number | null;
  /** The user as whom the proxy runs: its own connections are not redirected. */
  readonly proxyUid: number;
  /** Each `PORT` or `FIRST:LAST`, as iptables writes them. */
  readonly inboundPortsToIgnore: readonly string[];
  readonly outboundPortsToIgnore: readonly string[];
  readonly subnetsToIgnore: readonly Subnet[];
}

export interface Subnet {
  readonly family: Family;
  /** `10.0.0.0/8` */
  readonly text: string;
}

/** Puts the rules in place. `saved`: what `iptables-save -t nat` says now. */
export function applyScript(family: Family, options: RedirectOptions, saved: string): string {
  const { inboundPort, outboundPort, proxyUid } = options;
  const lines = ["*nat", `:${INBOUND_CHAIN} - [0:0]`, `:${OUTBOUND_CHAIN} - [0:0]`, ...removedJumps(saved)];
  const inbound = (rule: string) => lines.push(`-A ${INBOUND_CHAIN} ${rule}`);
  const outbound = (rule: string) => lines.push(`-A ${OUTBOUND_CHAIN} ${rule}`);
  if (inboundPort !== null) {
    for (const ports of multiports([OWN_PORTS, ...options.inboundPortsToIgnore]))
      inbound(`-p tcp -m multiport --dports ${ports} -j RETURN`);
    inbound(`-p tcp -j REDIRECT --to-ports ${inboundPort}`);
    lines.push(`-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j ${INBOUND_CHAIN}`);
  }
  if (outboundPort !== null) {
    outbound(`-m owner --uid-owner ${proxyUid} -j RETURN`);
    outbound("-o lo -j RETURN");
    const subnets = options.subnetsToIgnore.filter((subnet) => subnet.family === family).map(({ text }) => text);
    for (const subnet of [...LOCAL_SUBNETS[family], ...subnets]) outbound(`-d ${subnet} -j RETURN`);
    for (const ports of multiports([DNS_PORT, ...options.outboundPortsToIgnore]))
      outbound(`-p tcp -m multiport --dports ${ports} -j RETURN`);
    outbound(`-p tcp -j REDIRECT --to-ports ${outboundPort}`);
    lines.push(`-A OUTPUT -p tcp -j ${OUTBOUND_CHAIN}`);
  }
  return `${[...lines, "COMMIT"].join("\n")}\n`;
}

/** Takes them away; null when there is nothing of ours. */
export function removeScript(saved: string): string | null {
  const chains = [INBOUND_CHAIN, OUTBOUND_CHAIN].filter((chain) => hasChain(saved, chain));
  const jumps = removedJumps(saved);
  if (chains.length === 0 && jumps.length === 0) return null;
  return `${["*nat", ...jumps, ...chains.flatMap((chain) => [`-F ${chain}`, `-X ${chain}`]), "COMMIT"].join("\n")}\n`;
}

/** Brings back the rules of ours that `before` had, in place of those that `saved` has; null when neither has any. */
export function putBackScript(before: string, saved: string): string | null {
  if (!hasOurChains(before)) return removeScript(saved);
  const ours = before.split("\n").filter((line) => OUR_JUMP.test(line) || OUR_RULE.test(line));
  return `${["*nat", `:${INBOUND_CHAIN} - [0:0]`, `:${OUTBOUND_CHAIN} - [0:0]`, ...removedJumps(saved), ...ours, "COMMIT"].join("\n")}\n`;
}

/** True when the table has a chain of ours. */
export function hasOurChains(saved: string): boolean {
  return hasChain(saved, INBOUND_CHAIN) || hasChain(saved, OUTBOUND_CHAIN);
}

/** True when anything at all stands in the table. */
export function hasRules(saved: string): boolean {
  return /^-A /m.test(saved);
}

function hasChain(saved: string, chain: string): boolean {
  return saved.split("\n").some((line) => line.startsWith(`:${chain} `));
}

/** For each jump to our chains from one of others: the line that deletes it, in the words of iptables-save. */
function removedJumps(saved: string): string[] {
  return saved
    .split("\n")
    .filter((line) => OUR_JUMP.test(line))
    .map((line) => line.replace(/^-A/, "-D"));
}

/** Lists of ports, none with more than one match takes. Duplicates count once. */
function multiports(ports: readonly string[]): string[] {
  const lists: string[] = [];
  let list: string[] = [];
  let size = 0;
  for (const port of new Set(ports)) {
    const weight = port.includes(":") ? 2 : 1;
    if (size + weight > MULTIPORT_MAX) {
      lists.push(list.join(","));
      list = [];
      size = 0;
    }
    list.push(port);
    size += weight;
  }
  if (list.length > 0) lists.push(list.join(","));
  return lists;
}

/** `4190,8000-8010` as iptables writes it; null when one of them is no port from 1 to 65535 or no range upwards. */
export function parsePorts(text: string): string[] | null {
  const ports = text === "" ? [] : text.split(",").map((part) => parsePortOrRange(part.trim()));
  return ports.includes(null) ? null : (ports as string[]);
}

function parsePortOrRange(text: string): string | null {
  const match = /^([0-9]{1,5})(?:[-:]([0-9]{1,5}))?$/.exec(text);
  if (match === null) return null;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first < 1 || last > 65535 || last < first) return null;
  return last === first ? String(first) : `${first}:${last}`;
}

/** `10.0.0.0/8,fd00::/8,192.0.2.1`; null when one of them is no address and no network. */
export function parseSubnets(text: string): Subnet[] | null {
  const subnets = text === "" ? [] : text.split(",").map((part) => parseSubnet(part.trim()));
  return subnets.includes(null) ? null : (subnets as Subnet[]);
}

function parseSubnet(text: string): Subnet | null {
  const [address = "", prefix, ...rest] = text.split("/");
  const ip = parseIp(address);
  if (ip === null || rest.length > 0) return null;
  const family: Family = ip.includes(":") ? "ipv6" : "ipv4";
  const bits = family === "ipv6" ? 128 : 32;
  if (prefix === undefined) return { family, text: `${ip}/${bits}` };
  return /^(0|[1-9][0-9]{0,2})$/.test(prefix) && Number(prefix) <= bits ? { family, text: `${ip}/${prefix}` } : null;
}
