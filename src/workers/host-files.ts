// What the machine says about names without being asked over the network: /etc/hosts and /etc/resolv.conf.
//
// Pure reading of text; who reads the files, and when, is the resolver's. Formats: hosts(5), resolv.conf(5).

/** What of resolv.conf counts here: the name servers themselves are c-ares' business. */
export interface SearchRules {
  readonly search: readonly string[];
  /** Names with at least so many dots are tried as they are first. */
  readonly ndots: number;
}

/** The most that resolv.conf(5) allows. */
const NDOTS_MAX = 15;

/** Lower-case names to addresses, in the order of the file. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    // Scoped IPv6 addresses name an interface of this machine; no endpoint is one.
    if (address === undefined || address === "" || address.includes("%")) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const known = hosts.get(key);
      if (known === undefined) hosts.set(key, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return hosts;
}

/** Search list and ndots; the last of `search` and `domain` counts. */
export function parseResolvConf(text: string): SearchRules {
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "search") search = values;
    else if (keyword === "domain") search = values.slice(0, 1);
    else if (keyword === "options") {
      for (const option of values) {
        const dots = /^ndots:(\d+)$/.exec(option)?.[1];
        if (dots !== undefined) ndots = Math.min(NDOTS_MAX, Number(dots));
      }
    }
  }
  return { search: search.map((domain) => domain.toLowerCase().replace(/^\.+|\.+$/g, "")).filter((domain) => domain !== ""), ndots };
}

/** The names to ask for, in order. A final dot means: exactly this. */
export function candidates(name: string, rules: SearchRules): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const searched = rules.search.map((domain) => `${name}.${domain}`);
  const dots = name.split(".").length - 1;
  return dots >= rules.ndots ? [name, ...searched] : [...searched, name];
}
