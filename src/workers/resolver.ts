// DNS names of endpoints, resolved on the main thread once for all workers, again and again.
//
// Order: IP literals as they are; /etc/hosts; A and AAAA of each candidate of the search list; the system's own lookup as a
// last resort (it may know mDNS and the like). A name is asked for again after min(TTL, ttlMaxMs), and at once after a
// failed connect, at most once a second; where connections wait for the answer (`renewed`), ten times. A failed lookup, "no such name" included, keeps the last answer: an endpoint
// list never becomes empty because a DNS server hiccups. If one family fails and the other answers, the failed one's last
// addresses stay. Addresses are sorted, so that an answer that only rotates changes nothing.

import { type RecordWithTtl, promises as dns } from "node:dns";
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import type { LogFields, LogLevel } from "./forwarder-types.ts";
import { candidates, parseHosts, parseResolvConf, type SearchRules } from "./host-files.ts";

/** A name is never asked for more often than this, whatever its TTL or the number of failed connects. */
const PERIOD_MIN_MS = 1_000;

/** The same where connections wait for the answer. */
const RENEWAL_PERIOD_MIN_MS = 100;

/** So long a connection waits for answers. */
const RENEWAL_MS_MAX = 500;

/** Names being asked for at the same time; the others wait for their turn. */
const LOOKUPS_MAX = 64;

/** One try at one server; c-ares doubles it for the second. */
const SERVER_TIMEOUT_MS = 1_000;
const SERVER_TRIES = 2;

export type LookupResult = "ok" | "not_found" | "error";

export interface ResolverOptions {
  /** Upper bound of a TTL, milliseconds. */
  readonly ttlMaxMs: () => number;
  /** The addresses of a name changed, or it has its first. */
  readonly onChange: (name: string) => void;
  readonly onLookup: (type: "A" | "AAAA" | "hosts" | "system", result: LookupResult) => void;
  readonly log: (level: LogLevel, message: string, fields?: LogFields) => void;
  /** `ip:port` of the only server to ask; then the system's own lookup is not used. For tests. */
  readonly server?: string;
  readonly hostsFile?: string;
  readonly resolvConf?: string;
}

interface Name {
  readonly name: string;
  /** Sorted. Empty until the first answer. */
  v4: readonly string[];
  v6: readonly string[];
  addresses: readonly string[];
  /** Monotonic time of the last start of a lookup. */
  askedAt: number;
  isAsking: boolean;
  /** A connect failed while the question was on its way: the answer may be the old one. */
  mustAskAgain: boolean;
  hasAnswered: boolean;
  hasFailed: boolean;
  timer: NodeJS.Timeout | null;
  /** Who waits for the answer to a question that is asked after `since`, monotonic time. */
  waiting: readonly { readonly since: number; readonly resolve: () => void }[];
}

/** What one source says: `null` addresses mean that it failed and the last ones stay. */
interface Answer {
  readonly v4: readonly string[] | null;
  readonly v6: readonly string[] | null;
  readonly ttlMs: number;
}

const NOT_FOUND = new Set(["ENOTFOUND", "ENODATA", "EAI_NONAME", "EAI_NODATA"]);

export class Resolver {
  readonly #options: ResolverOptions;
  readonly #names = new Map<string, Name>();
  readonly #queue: Name[] = [];
  #asking = 0;
  #isClosed = false;
  #onAnswer: (() => void) | null = null;
  readonly #hosts: WatchedFile<ReadonlyMap<string, readonly string[]>>;
  readonly #rules: WatchedFile<SearchRules>;
  #client: InstanceType<typeof dns.Resolver> | null = null;
  /** Questions that are under way, by who asks: also those who were replaced since. */
  readonly #questions = new Map<InstanceType<typeof dns.Resolver>, number>();

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#hosts = new WatchedFile(options.hostsFile ?? "/etc/hosts", parseHosts);
    this.#rules = new WatchedFile(options.resolvConf ?? "/etc/resolv.conf", parseResolvConf);
  }

  /** The names to keep resolved from now on; others are forgotten. */
  setNames(names: Iterable<string>): void {
    const wanted = new Set(names);
    for (const [key, entry] of this.#names) {
      if (wanted.has(key)) continue;
      if (entry.timer !== null) clearTimeout(entry.timer);
      this.#names.delete(key);
    }
    for (const name of wanted) {
      if (this.#names.has(name)) continue;
      const entry: Name = {
        name,
        v4: [],
        v6: [],
        addresses: [],
        askedAt: Number.NEGATIVE_INFINITY,
        isAsking: false,
        mustAskAgain: false,
        hasAnswered: false,
        hasFailed: false,
        timer: null,
        waiting: [],
      };
      this.#names.set(name, entry);
      this.#ask(entry);
    }
  }

  /** The addresses of a name, sorted, IPv4 first; empty before the first answer. */
  addresses(name: string): readonly string[] {
    return this.#names.get(name)?.addresses ?? [];
  }

  /** A connect to one of its addresses failed: asks again, if the last question is a second old; else in time. */
  refresh(name: string): void {
    const entry = this.#names.get(name);
    if (entry === undefined) return;
    if (entry.isAsking) entry.mustAskAgain = true;
    else this.#schedule(entry, Math.max(0, entry.askedAt + PERIOD_MIN_MS - performance.now()));
  }

  /**
   * Resolves when each of these names was asked for after this call and was answered, good or bad, or after RENEWAL_MS_MAX. A name is asked for at most
   * every RENEWAL_PERIOD_MIN_MS, however many wait.
   */
  async renewed(names: Iterable<string>): Promise<void> {
    const since = performance.now();
    const answers: Promise<void>[] = [];
    for (const name of names) {
      const entry = this.#names.get(name);
      if (entry === undefined) continue;
      answers.push(
        new Promise((resolve) => {
          entry.waiting = [...entry.waiting, { since, resolve }];
        }),
      );
      if (!entry.isAsking) this.#askForWaiting(entry);
    }
    if (answers.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, RENEWAL_MS_MAX);
    });
    await Promise.race([Promise.all(answers), late]);
    clearTimeout(timer);
  }

  /** Resolves when every name has had its first answer, good or bad, or after `ms`. */
  async settled(ms: number): Promise<void> {
    const isSettled = () => [...this.#names.values()].every((entry) => entry.hasAnswered);
    if (isSettled()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms);
      const onAnswer = () => {
        if (isSettled()) done();
      };
      this.#onAnswer = onAnswer;
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
    });
    this.#onAnswer = null;
  }

  close(): void {
    this.#isClosed = true;
    this.setNames([]);
    for (const client of this.#questions.keys()) client.cancel();
  }

  #schedule(entry: Name, ms: number): void {
    if (entry.timer !== null) clearTimeout(entry.timer);
    entry.timer = setTimeout(() => {
      entry.timer = null;
      this.#ask(entry);
    }, ms);
  }

  #ask(entry: Name): void {
    if (entry.isAsking) return;
    entry.isAsking = true;
    if (this.#asking >= LOOKUPS_MAX) this.#queue.push(entry);
    else void this.#lookUp(entry);
  }

  async #lookUp(entry: Name): Promise<void> {
    this.#asking++;
    entry.askedAt = performance.now();
    let answer: Answer | null = null;
    let reason = "no such name";
    try {
      answer = await this.#resolve(entry.name);
    } catch (error) {
      reason = (error as Error).message;
    }
    this.#asking--;
    const next = this.#queue.shift();
    if (next !== undefined) void this.#lookUp(next);
    entry.isAsking = false;
    if (this.#names.get(entry.name) !== entry || this.#isClosed) return;
    this.#take(entry, answer, reason);
    if (entry.mustAskAgain) {
      entry.mustAskAgain = false;
      this.refresh(entry.name);
    }
    for (const { since, resolve } of entry.waiting) if (since <= entry.askedAt) resolve();
    entry.waiting = entry.waiting.filter(({ since }) => since > entry.askedAt);
    if (entry.waiting.length > 0) this.#askForWaiting(entry);
  }

  #askForWaiting(entry: Name): void {
    this.#schedule(entry, Math.max(0, entry.askedAt + RENEWAL_PERIOD_MIN_MS - performance.now()));
  }

  #take(entry: Name, answer: Answer | null, reason: string): void {
    const { ttlMaxMs, log, onChange } = this.#options;
    entry.hasAnswered = true;
    if (answer === null) {
      if (!entry.hasFailed) {
        const kept = entry.addresses.length;
        log("warn", kept > 0 ? "a name cannot be resolved: its last addresses stay" : "a name cannot be resolved", {
          host: entry.name,
          reason,
          kept,
        });
      }
    } else {
      if (entry.hasFailed) log("info", "a name is resolved again", { host: entry.name });
      entry.v4 = answer.v4 ?? entry.v4;
      entry.v6 = answer.v6 ?? entry.v6;
      const addresses = [...entry.v4, ...entry.v6];
      if (addresses.join() !== entry.addresses.join()) {
        entry.addresses = addresses;
        onChange(entry.name);
      }
    }
    entry.hasFailed = answer === null;
    const ttlMs = Math.min(answer?.ttlMs ?? ttlMaxMs(), ttlMaxMs());
    if (entry.timer === null) this.#schedule(entry, Math.max(ttlMs, Math.min(PERIOD_MIN_MS, ttlMaxMs())));
    this.#onAnswer?.();
  }

  async #resolve(name: string): Promise<Answer | null> {
    const family = isIP(name);
    if (family !== 0) return { v4: family === 4 ? [name] : [], v6: family === 6 ? [name] : [], ttlMs: Number.POSITIVE_INFINITY };
    const key = name.toLowerCase().replace(/\.$/, "");
    const listed = this.#hosts.read()?.get(key);
    if (listed !== undefined) {
      this.#options.onLookup("hosts", "ok");
      return sorted(listed, Number.POSITIVE_INFINITY);
    }
    const rules = this.#rules.read() ?? { search: [], ndots: 1 };
    for (const candidate of candidates(name.toLowerCase(), rules)) {
      const answer = await this.#query(candidate);
      if (answer !== null) return answer;
    }
    return this.#options.server === undefined ? await this.#system(key) : null;
  }

  /** A and AAAA of one name; null when it has neither. Throws when nothing could be learned. */
  async #query(name: string): Promise<Answer | null> {
    const client = this.#newestClient();
    const begunAt = performance.now();
    this.#questions.set(client, (this.#questions.get(client) ?? 0) + 1);
    const [a, aaaa] = await Promise.allSettled([client.resolve4(name, { ttl: true }), client.resolve6(name, { ttl: true })]);
    const left = this.#questions.get(client)! - 1;
    if (left > 0) this.#questions.set(client, left);
    else this.#questions.delete(client);
    const v4 = this.#records("A", a);
    const v6 = this.#records("AAAA", aaaa);
    const wasSilent = performance.now() - begunAt >= SERVER_TIMEOUT_MS;
    if ((wasSilent || v4 === null || v6 === null) && this.#client === client) this.#client = null;
    if (v4 === null && v6 === null) throw (a as PromiseRejectedResult).reason;
    if ((v4?.length ?? 0) === 0 && (v6?.length ?? 0) === 0) {
      // One family does not exist and the other is unknown: unknown.
      if (v4 === null || v6 === null) throw ((v4 === null ? a : aaaa) as PromiseRejectedResult).reason;
      return null;
    }
    const ttlS = Math.min(...[...(v4 ?? []), ...(v6 ?? [])].map((record) => record.ttl));
    const addresses = (records: readonly RecordWithTtl[] | null) => records && [...new Set(records.map((record) => record.address))].sort();
    return { v4: addresses(v4), v6: addresses(v6), ttlMs: ttlS * 1000 };
  }

  /** The records of one family: none when the name has none, null when the server did not say. */
  #records(type: "A" | "AAAA", result: PromiseSettledResult<RecordWithTtl[]>): readonly RecordWithTtl[] | null {
    const { onLookup } = this.#options;
    if (result.status === "fulfilled") {
      onLookup(type, "ok");
      return result.value;
    }
    const isKnown = NOT_FOUND.has((result.reason as NodeJS.ErrnoException).code ?? "");
    onLookup(type, isKnown ? "not_found" : "error");
    return isKnown ? [] : null;
  }

  async #system(name: string): Promise<Answer | null> {
    try {
      const found = await dns.lookup(name, { all: true });
      this.#options.onLookup("system", "ok");
      return sorted(
        found.map((one) => one.address),
        Number.POSITIVE_INFINITY,
      );
    } catch (error) {
      const isKnown = NOT_FOUND.has((error as NodeJS.ErrnoException).code ?? "");
      this.#options.onLookup("system", isKnown ? "not_found" : "error");
      if (isKnown) return null;
      throw error;
    }
  }

  /**
   * c-ares reads resolv.conf when a client is made: a new one when the file changes. A new one, too, when a server was silent or failed, which c-ares puts
   * behind the others from then on. Applications ask the first server first; where servers know of different networks, as podman's do, so must we, or
   * their addresses are not ours.
   */
  #newestClient(): InstanceType<typeof dns.Resolver> {
    const { server } = this.#options;
    if (this.#client === null || (server === undefined && this.#rules.hasChanged())) {
      this.#client = new dns.Resolver({ timeout: SERVER_TIMEOUT_MS, tries: SERVER_TRIES });
      if (server !== undefined) this.#client.setServers([server]);
    }
    return this.#client;
  }
}

function sorted(addresses: readonly string[], ttlMs: number): Answer {
  const unique = [...new Set(addresses)].sort();
  return { v4: unique.filter((address) => isIP(address) === 4), v6: unique.filter((address) => isIP(address) === 6), ttlMs };
}

/** A small file that is read again when it changed; Docker and DHCP clients rewrite both. */
class WatchedFile<T> {
  readonly #path: string;
  readonly #parse: (text: string) => T;
  #stamp = "";
  #value: T | null = null;
  #isNew = false;

  constructor(path: string, parse: (text: string) => T) {
    this.#path = path;
    this.#parse = parse;
  }

  /** The content now, null without a file. */
  read(): T | null {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp !== this.#stamp) {
        this.#value = this.#parse(readFileSync(this.#path, "utf8"));
        this.#isNew = this.#stamp !== "";
        this.#stamp = stamp;
      }
    } catch {
      this.#value = null;
      this.#stamp = "";
    }
    return this.#value;
  }

  /** True once after each change. */
  hasChanged(): boolean {
    const isNew = this.#isNew;
    this.#isNew = false;
    return isNew;
  }
}
