// `weft init`: redirects a network namespace's TCP connections to its proxy, or takes that back.
//
// Run once before the applications start, by an init container or by hand, with CAP_NET_ADMIN. All or nothing: when the second
// family fails, the first is taken back, to the rules of before if there were any: an update that fails must not open the way past the proxy. IPv6 that works around the proxy would be a hole, so a namespace with global
// IPv6 addresses whose rules cannot be written is an error; without such addresses it is a note.
//
// With --hold it writes them as the process that owns the namespace, and then holds it as the proxy's user, without a capability: whoever starts it,
// and in which order, the rules come with the namespace (an engine that is started again asks no init container).

import { runHold } from "../hold-command.ts";
import { FAILURE } from "../output-format.ts";
import { oneAtATime } from "./one-at-a-time.ts";
import { becomeUser, checkPrivileges } from "./privileges.ts";
import { applyScript, type Family, parsePorts, parseSubnets, putBackScript, type RedirectOptions, removeScript } from "./rules.ts";
import { chooseTables, type Mode, readOr, restore, restoreCommand, type Tables, TablesError, tablesWithOurChains } from "./tables.ts";

/** As they were given. */
export interface InitOptions {
  readonly incomingProxyPort: string;
  readonly outgoingProxyPort: string;
  readonly proxyUid: string;
  readonly inboundPortsToIgnore: string;
  readonly outboundPortsToIgnore: string;
  readonly subnetsToIgnore: string;
  readonly ipFamily: "auto" | "ipv4" | "both";
  readonly iptablesMode: Mode | "auto";
  readonly dryRun?: true;
  readonly remove?: true;
  readonly hold?: true;
}

const UID_MAX = 2 ** 32 - 2;

/** Does it and says what it did; resolves to the exit code. With `hold` it is then what `weft hold` is. */
export async function runInit(given: InitOptions): Promise<number> {
  const mistakes: string[] = [];
  const options = readOptions(given, mistakes);
  if (mistakes.length > 0) {
    process.stderr.write(mistakes.map((mistake) => `weft init: ${mistake}\n`).join(""));
    return FAILURE;
  }
  try {
    if (given.dryRun !== true) checkPrivileges(given.hold === true);
    const work = (): void => (given.remove === true ? remove(given) : apply(given, options));
    if (given.dryRun === true) work();
    else await oneAtATime(work);
    if (given.hold !== true) return 0;
    becomeUser(options.proxyUid);
    return await runHold(false);
  } catch (error) {
    if (!(error instanceof TablesError)) throw error;
    process.stderr.write(`weft init: ${error.message}\n  ${error.hint}\n`);
    return FAILURE;
  }
}

function apply(given: InitOptions, options: RedirectOptions): void {
  const plans: { tables: Tables; script: string }[] = [];
  for (const family of familiesOf(given)) {
    const tables = openFamily(family, given);
    if (tables !== null) plans.push({ tables, script: applyScript(family, options, tables.saved) });
  }
  if (given.dryRun === true) {
    for (const { tables, script } of plans) printScript(tables, script);
    return;
  }
  const done: Tables[] = [];
  for (const { tables, script } of plans) {
    try {
      restore(tables, script);
      done.push(tables);
      takeBackElsewhere(tables);
    } catch (error) {
      if (tables.family === "ipv6" && error instanceof TablesError && !needsIpv6(given)) {
        note(`IPv6 is left alone: ${error.message}`);
        continue;
      }
      for (const before of done) for (const now of tablesWithOurChains(before.family, before.mode)) putBack(before, now);
      throw error;
    }
  }
  for (const { family, mode } of done) say(`${family}: ${describe(options)} (${restoreCommand(family, mode)[0]})`);
}

function remove(given: InitOptions): void {
  let isAny = false;
  for (const family of ["ipv4", "ipv6"] as const) {
    for (const tables of tablesWithOurChains(family, given.iptablesMode)) {
      const script = removeScript(tables.saved);
      if (script === null) continue;
      isAny = true;
      if (given.dryRun === true) printScript(tables, script);
      else {
        restore(tables, script);
        say(`${family}: removed (${restoreCommand(family, tables.mode)[0]})`);
      }
    }
  }
  if (!isAny) say("nothing to remove");
}

/** The same rules in the other kind of tables would go on by themselves. */
function takeBackElsewhere({ family, mode }: Tables): void {
  if (mode === "plain") return;
  for (const other of tablesWithOurChains(family, "auto")) if (other.mode !== mode && other.mode !== "plain") takeBack(other);
}

function putBack(before: Tables, now: Tables): void {
  const script = putBackScript(before.saved, now.saved);
  if (script !== null) restore(now, script);
}

function takeBack(tables: Tables): void {
  const script = removeScript(tables.saved);
  if (script !== null) restore(tables, script);
}

/** The tables of a family; null when it is left alone. A dry run shows the rules even where they could not be written. */
function openFamily(family: Family, given: InitOptions): Tables | null {
  try {
    return chooseTables(family, given.iptablesMode);
  } catch (error) {
    if (!(error instanceof TablesError)) throw error;
    if (given.dryRun === true) return { family, mode: given.iptablesMode === "auto" ? "plain" : given.iptablesMode, saved: "" };
    if (family === "ipv4" || needsIpv6(given)) throw error;
    note(`IPv6 is left alone: ${error.message}`);
    return null;
  }
}

function familiesOf({ ipFamily, dryRun }: InitOptions): Family[] {
  if (ipFamily === "ipv4") return ["ipv4"];
  if (ipFamily === "both" || dryRun === true) return ["ipv4", "ipv6"];
  return readOr("/proc/net/if_inet6", "") === "" ? ["ipv4"] : ["ipv4", "ipv6"];
}

/** True when IPv6 would be a way around the proxy: it was asked for, or there is an address of global scope. */
function needsIpv6({ ipFamily }: InitOptions): boolean {
  if (ipFamily !== "auto") return ipFamily === "both";
  return readOr("/proc/net/if_inet6", "")
    .split("\n")
    .some((line) => line.split(/\s+/)[3] === "00");
}

function readOptions(given: InitOptions, mistakes: string[]): RedirectOptions {
  const ports = (option: string, text: string): string[] => {
    const parsed = parsePorts(text);
    if (parsed === null) mistakes.push(`${option} ${JSON.stringify(text)}: expected ports and ranges such as 22,8000-8010`);
    return parsed ?? [];
  };
  const portOrOff = (option: string, text: string): number | null => {
    if (text === "off") return null;
    const [port, ...more] = parsePorts(text) ?? [];
    if (port === undefined || more.length > 0 || port.includes(":"))
      mistakes.push(`${option} ${JSON.stringify(text)}: expected a port, or off`);
    return Number(port);
  };
  const subnets = parseSubnets(given.subnetsToIgnore);
  if (subnets === null)
    mistakes.push(`--subnets-to-ignore ${JSON.stringify(given.subnetsToIgnore)}: expected networks such as 10.1.0.0/16,fd00::/8`);
  const isUid = /^[0-9]{1,10}$/.test(given.proxyUid) && Number(given.proxyUid) <= UID_MAX;
  if (!isUid) mistakes.push(`--proxy-uid ${JSON.stringify(given.proxyUid)}: expected the number of a user`);
  if (given.hold === true && (given.dryRun === true || given.remove === true))
    mistakes.push(`--hold stays to keep rules in place: it goes with neither --dry-run nor --remove`);
  if (given.hold === true && Number(given.proxyUid) === 0) mistakes.push("--hold gives up root and becomes --proxy-uid: that cannot be 0");
  return {
    inboundPort: portOrOff("--incoming-proxy-port", given.incomingProxyPort),
    outboundPort: portOrOff("--outgoing-proxy-port", given.outgoingProxyPort),
    proxyUid: Number(given.proxyUid),
    inboundPortsToIgnore: ports("--inbound-ports-to-ignore", given.inboundPortsToIgnore),
    outboundPortsToIgnore: ports("--outbound-ports-to-ignore", given.outboundPortsToIgnore),
    subnetsToIgnore: subnets ?? [],
  };
}

function describe({ inboundPort, outboundPort, proxyUid }: RedirectOptions): string {
  const parts: string[] = [];
  if (inboundPort !== null) parts.push(`inbound to ${inboundPort}`);
  if (outboundPort !== null) parts.push(`outbound to ${outboundPort}, except for user ${proxyUid}`);
  return parts.join("; ") || "nothing is redirected";
}

function printScript({ family, mode }: Pick<Tables, "family" | "mode">, script: string): void {
  process.stdout.write(`# ${restoreCommand(family, mode).join(" ")}\n${script}`);
}

function say(text: string): void {
  process.stdout.write(`weft init: ${text}\n`);
}

function note(text: string): void {
  process.stderr.write(`weft init: ${text}\n`);
}
