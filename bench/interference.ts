// What a proxy's own housekeeping does to its traffic: `node bench/interference.ts [--seconds 8] [--rounds 5]
// [--endpoints 5000] [--what both|scrapes|reloads]`.
//
// Quiet (A) and busy (B) alternate on one proxy with the same configuration of many endpoints: A B A B. During B, /metrics is scraped
// ten times a second and the configuration reloads every second, each time with a fifth of its endpoints replaced by others. Two
// figures of each, by a thread of its own that asks at fixed moments: latency of keep-alive requests, and the time from a new
// connection's first step to its first answer. The bars: keep-alive p99 grows by less than 1 ms, a new connection is accepted within
// 20 ms. What the prober measured while it was itself late by more than a millisecond is left out, and counted.
// It runs alone: other load on the machine is in every figure.

import { renameSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Metrics } from "../test/support/metrics.ts";
import { adminGet } from "./peers/weft.ts";
import { median } from "./statistics/spread.ts";
import { Child, isListening, pause, startOnFreePorts, temporaryFolder, TOOL_ENV, untilReady } from "./support/child.ts";

const MAIN = process.env["WEFT_TEST_MAIN"] ?? fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const ORIGIN = fileURLToPath(new URL("./origin.ts", import.meta.url));

const P99_GROWTH_MS_BAR = 1;
const ACCEPT_MS_BAR = 20;
const ASK_EVERY_MS = 4;
const SCRAPE_EVERY_MS = 100;
const RELOAD_EVERY_MS = 1_000;
const PROBE_EVERY_MS = 20;
const PROBE_LATE_MS_MAX = 1;
/** What was asked last is answered by then. */
const TAIL_MS = 500;
const ENDPOINTS_PER_SERVICE = 100;
/** Services that are asked once each before the first round, so that the exposition has 2000 series and more. */
const USED_SERVICES = 45;
const SERIES_MIN = 2_000;
/** Their connections are never made: endpoints of services that nobody asks for. */
const UNUSED_NET = "127.1";

/** One request to a service, so that it has series. */
function askOnce(port: number, service: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.write(`GET / HTTP/1.1\r\nHost: ${service}\r\nConnection: close\r\n\r\n`);
    socket.on("data", () => {});
    socket.once("close", () => resolve());
    socket.once("error", reject);
  });
}

interface Sample {
  readonly ms: number;
  /** The probe's own thread was late while it waited: the figure is not the proxy's alone. */
  readonly isLate: boolean;
}

interface ProbeResult {
  readonly keepAlive: readonly Sample[];
  readonly fresh: readonly Sample[];
}

/** The prober's thread: requests at fixed moments, whatever the answers do. It sleeps between them: a prober that spins takes a core. */
class Prober {
  readonly #port: number;
  readonly #idle: Socket[] = [];
  #lateAt = 0;
  #tick = performance.now();
  #keepAlive: Sample[] = [];
  #fresh: Sample[] = [];

  constructor(port: number) {
    this.#port = port;
    setInterval(() => {
      const now = performance.now();
      // A timer of 1 ms fires within 2.
      if (now - this.#tick > 2 + PROBE_LATE_MS_MAX) this.#lateAt = now;
      this.#tick = now;
    }, 1);
  }

  async run(seconds: number): Promise<ProbeResult> {
    this.#keepAlive = [];
    this.#fresh = [];
    const timers = [setInterval(() => this.#ask(), ASK_EVERY_MS), setInterval(() => this.#connect(), PROBE_EVERY_MS)];
    await pause(seconds * 1000);
    for (const timer of timers) clearInterval(timer);
    await pause(TAIL_MS);
    return { keepAlive: this.#keepAlive, fresh: this.#fresh };
  }

  #sampleSince(begin: number): Sample {
    const now = performance.now();
    return { ms: now - begin, isLate: this.#lateAt > begin || now - this.#tick > 2 + PROBE_LATE_MS_MAX };
  }

  /** A request on a connection that is free; on one more if none is. */
  #ask(): void {
    const socket = this.#idle.pop() ?? connect({ port: this.#port, host: "127.0.0.1", noDelay: true }).on("error", fail);
    const isNew = socket.connecting;
    const begin = performance.now();
    socket.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    socket.once("data", () => {
      if (!isNew) this.#keepAlive.push(this.#sampleSince(begin));
      this.#idle.push(socket);
    });
  }

  /** A new connection, to its first answer. */
  #connect(): void {
    const begin = performance.now();
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true }).on("error", fail);
    socket.write("GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    socket.once("data", () => {
      this.#fresh.push(this.#sampleSince(begin));
      socket.destroy();
    });
  }
}

function fail(error: Error): void {
  throw error;
}

function runProber(): void {
  const prober = new Prober((workerData as { port: number }).port);
  parentPort!.on("message", async (seconds: number) => parentPort!.postMessage(await prober.run(seconds)));
}

function configText(port: number, origin: number, endpoints: number, generation: number): string {
  const services: string[] = [];
  for (let service = 0; service * ENDPOINTS_PER_SERVICE < endpoints; service++) {
    // A tenth of the services, another one each time, moves to other ports.
    const moved = service % 10 === generation % 10 ? generation + 1 : 0;
    const lines = Array.from(
      { length: ENDPOINTS_PER_SERVICE },
      (_, i) => `    - address: ${UNUSED_NET}.${service}.${i + 1}:${8000 + moved}\n`,
    );
    services.push(
      `---\napiVersion: weft.dev/v1alpha1\nkind: Service\nmetadata: {name: unused-${service}}\nspec:\n  endpoints:\n${lines.join("")}`,
    );
  }
  for (let used = 0; used < USED_SERVICES; used++) {
    services.push(
      `---\napiVersion: weft.dev/v1alpha1\nkind: Service\nmetadata: {name: used-${used}}\nspec:\n  endpoints:\n    - address: 127.0.0.1:${origin}\n`,
    );
  }
  return `apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: bench}
spec:
  outbound: {listen: "127.0.0.1:${port}", default: web}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web}
spec:
  endpoints:
    - address: 127.0.0.1:${origin}
${services.join("")}`;
}

class Busy {
  readonly #write: (generation: number) => void;
  readonly #adminPort: number;
  #generation = 0;
  readonly #timers: NodeJS.Timeout[] = [];
  scrapes = 0;
  scrapeMs: number[] = [];
  #isScraping = false;

  constructor(adminPort: number, write: (generation: number) => void) {
    this.#adminPort = adminPort;
    this.#write = write;
  }

  begin(what: string): void {
    if (what !== "reloads") this.#timers.push(setInterval(() => void this.#scrape(), SCRAPE_EVERY_MS));
    if (what !== "scrapes") this.#timers.push(setInterval(() => this.#write(++this.#generation), RELOAD_EVERY_MS));
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #scrape(): Promise<void> {
    if (this.#isScraping) return;
    this.#isScraping = true;
    const begin = performance.now();
    await adminGet(this.#adminPort, "/metrics");
    this.scrapeMs.push(performance.now() - begin);
    this.scrapes++;
    this.#isScraping = false;
  }
}

interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly late: number;
}

function figuresOf(samples: readonly Sample[]): Figures {
  const ms = samples.filter(({ isLate }) => !isLate).map((sample) => sample.ms);
  ms.sort((a, b) => a - b);
  const at = (share: number): number => ms[Math.min(ms.length - 1, Math.floor(ms.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1), late: samples.length - ms.length };
}

interface Round {
  readonly keepAlive: Figures;
  readonly fresh: Figures;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "8" },
      rounds: { type: "string", default: "5" },
      endpoints: { type: "string", default: "5000" },
      what: { type: "string", default: "both" },
    },
  });
  const seconds = Number(values.seconds);
  const origin = await startOnFreePorts(1, async ([port]) => {
    const child = new Child("origin", process.execPath, [ORIGIN, String(port)]);
    await untilReady(child, () => isListening(port!));
    return { child, port: port! };
  });
  const path = join(temporaryFolder(), "proxy.yaml");
  const proxy = await startOnFreePorts(2, async ([port, admin]) => {
    const write = (generation: number): void => {
      writeFileSync(`${path}.new`, configText(port!, origin.port, Number(values.endpoints), generation));
      renameSync(`${path}.new`, path);
    };
    write(0);
    const child = new Child(
      "weft",
      process.execPath,
      [MAIN, "proxy", "--config", path, "--workers", "1", "--admin", `127.0.0.1:${admin}`],
      {
        env: TOOL_ENV,
      },
    );
    await untilReady(child, async () => (await adminGet(admin!, "/ready").catch(() => null))?.status === 200);
    return { child, port: port!, admin: admin!, write };
  });
  const metrics = async (): Promise<Metrics> => new Metrics((await adminGet(proxy.admin, "/metrics")).body);
  const prober = new Worker(new URL(import.meta.url), { workerData: { port: proxy.port } });

  async function measure(length: number): Promise<Round> {
    prober.postMessage(length);
    const { keepAlive, fresh } = await new Promise<ProbeResult>((resolve) => prober.once("message", resolve));
    return { keepAlive: figuresOf(keepAlive), fresh: figuresOf(fresh) };
  }

  const text = ({ p50, p99, max, late }: Figures): string =>
    `p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} max ${max.toFixed(2)} ms (${late} left out)`;
  const line = (name: string, { keepAlive, fresh }: Round): string =>
    `${name}  keep-alive ${text(keepAlive)}   new connection ${text(fresh)}\n`;
  const quiet: Round[] = [];
  const busy: Round[] = [];
  for (let used = 0; used < USED_SERVICES; used++) await askOnce(proxy.port, `used-${used}`);
  const series = (await metrics()).samples.length;
  if (series < SERIES_MIN) throw new Error(`${series} series, not ${SERIES_MIN}`);
  await measure(3);
  for (let round = 1; round <= Number(values.rounds); round++) {
    quiet.push(await measure(seconds));
    process.stdout.write(line("quiet", quiet.at(-1)!));
    const before = (await metrics()).sum("proxy_config_reloads_total", { result: "applied" });
    const noise = new Busy(proxy.admin, proxy.write);
    noise.begin(values.what);
    busy.push(await measure(seconds));
    noise.end();
    const after = await metrics();
    process.stdout.write(
      `${line("busy ", busy.at(-1)!)}       ${after.sum("proxy_config_reloads_total", { result: "applied" }) - before} reloads, ${noise.scrapes} scrapes of ${after.samples.length} samples, median ${median([0, ...noise.scrapeMs]).toFixed(1)} ms, longest ${Math.max(0, ...noise.scrapeMs).toFixed(1)} ms\n`,
    );
    // A reload that was written last belongs to no quiet round.
    await pause(2 * RELOAD_EVERY_MS);
  }
  const growths = busy.map((one, i) => one.keepAlive.p99 - quiet[i]!.keepAlive.p99);
  const growth = median(growths);
  const slowest = median(busy.map((one) => one.fresh.max));
  const control = median(quiet.map((one) => one.fresh.max));
  process.stdout.write(
    `keep-alive p99 grows by ${growth.toFixed(2)} ms (bar: ${P99_GROWTH_MS_BAR} ms; each round: ${growths.map((ms) => ms.toFixed(2)).join(" ")}): ${growth < P99_GROWTH_MS_BAR ? "met" : "MISSED"}\n` +
      `slowest new connection, to its first answer: ${slowest.toFixed(2)} ms, quiet ${control.toFixed(2)} ms (bar: ${ACCEPT_MS_BAR} ms): ${slowest < ACCEPT_MS_BAR ? "met" : "MISSED"}\n`,
  );
  await prober.terminate();
  await proxy.child.stop();
  await origin.child.stop();
}

if (isMainThread) await main();
else runProber();
