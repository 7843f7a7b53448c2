// The command line of the benchmarks.

import { parseArgs } from "node:util";

export interface BenchOptions {
  /** One of PRESETS. */
  readonly preset: string;
  /** Rounds per load and subject; null: as the preset says. */
  readonly pairs: number | null;
  /** Short runs and few: to see whether everything works, not for figures. */
  readonly quick: boolean;
  readonly format: "text" | "json";
  /** Exit code 1 when a bar is missed, 2 when one could not be judged. */
  readonly assert: boolean;
  /** Empty: as the preset says. */
  readonly scenarios: readonly string[];
  /** Empty: as the preset says. `direct` always takes part. */
  readonly subjects: readonly string[];
  /** Null: nginx where it is installed. */
  readonly origin: "nginx" | "uws" | null;
  /** Of load, for memory growth. */
  readonly minutes: number;
  /** Worker threads of Weft. */
  readonly workers: number;
  /** Requests per second of the open-loop runs. */
  readonly rate: number;
  readonly connections: number;
  /** Of a round; null: as the preset or the scenario says. */
  readonly seconds: number | null;
  /** Of the before-and-after with ab. */
  readonly requests: number;
  readonly concurrency: number;
  /** Where the reports are written; null: a folder named after date and preset, none with `-o json`. */
  readonly folder: string | null;
}

export const PRESETS = ["default", "cpu", "latency", "http2", "memory", "ab", "all"] as const;

const ORIGINS = ["nginx", "uws"] as const;

export const USAGE = `usage: npm run bench [-- [PRESET] [OPTIONS]]

presets
  (none)    every installed proxy in the plain scenarios; reports are written into a folder
  cpu       CPU per request of Weft beside nginx and HAProxy, with its bars
  latency   what one proxy adds to the latency, open loop, with its bars
  http2     CPU per request over HTTP/2 and TLS, Weft beside HAProxy, nginx, Envoy and node:http2, with its bars
  memory    start, idle memory and CPU, bytes per connection, growth under load, with their bars
  ab        before and after with ApacheBench: without Weft, with Weft, the difference
  all       every scenario, every installed proxy, memory and ab
  list      the scenarios and proxies that there are

options
  --quick            at most two minutes: shows that it works, the figures are worth little
  --pairs N          interleaved rounds (default 9; latency 10; ab 3)
  --scenario NAME    only this one; may be given several times
  --subject NAME     only this proxy; may be given several times, or A,B,C (direct always runs)
  --origin NAME      nginx or uws (default nginx if it is installed)
  --workers N        worker threads of Weft, and as many of each peer (default 1)
  --rate N           requests per second of open-loop rounds (default 1000)
  --connections N    connections of open-loop rounds (default 16)
  --seconds N        length of a round
  --minutes N        load for the memory growth run (default 1)
  --requests N       of each ab run (default 10000)
  --concurrency N    of each ab run (default 100)
  --folder PATH      where the reports go (default bench/reports/local/...)
  -o, --output FMT   text, or json: the result document on stdout
  --assert           exit code 1 when a bar is missed, 2 when one could not be judged
`;

export class UsageError extends Error {}

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new UsageError(`--${name} is a whole number from ${min} to ${max}, not '${text}'`);
  }
  return value;
}

function choice<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const found = choices.find((one) => one === text);
  if (found === undefined) throw new UsageError(`${name} is one of ${choices.join(", ")}, not '${text}'`);
  return found;
}

/** Throws UsageError, or parseArgs' own TypeError for options that it does not know. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      pairs: { type: "string" },
      quick: { type: "boolean", default: false },
      scenario: { type: "string", multiple: true, default: [] },
      subject: { type: "string", multiple: true, default: [] },
      peers: { type: "string", multiple: true, default: [] },
      origin: { type: "string" },
      workers: { type: "string", default: "1" },
      rate: { type: "string", default: "1000" },
      connections: { type: "string", default: "16" },
      seconds: { type: "string" },
      minutes: { type: "string", default: "1" },
      requests: { type: "string", default: "10000" },
      concurrency: { type: "string", default: "100" },
      folder: { type: "string" },
      output: { type: "string", short: "o", default: "text" },
      assert: { type: "boolean", default: false },
    },
  });
  if (positionals.length > 1) throw new UsageError(`one preset at a time, not ${positionals.join(" ")}`);
  const requests = integer("requests", values.requests, 1, 10_000_000);
  const concurrency = integer("concurrency", values.concurrency, 1, 4_000);
  if (concurrency > requests) throw new UsageError("--concurrency is at most --requests: ab refuses anything else");
  return {
    preset: choice("the preset", positionals[0] ?? "default", PRESETS),
    pairs: values.pairs === undefined ? null : integer("pairs", values.pairs, 1, 1000),
    quick: values.quick,
    format: choice("--output", values.output, ["text", "json"]),
    assert: values.assert,
    scenarios: values.scenario,
    // `--peers` is the older name of the same thing.
    subjects: [...values.subject, ...values.peers].flatMap((names) => names.split(",")).filter((name) => name !== "direct"),
    origin: values.origin === undefined ? null : choice("--origin", values.origin, ORIGINS),
    minutes: integer("minutes", values.minutes, 0, 600),
    workers: integer("workers", values.workers, 0, 64),
    rate: integer("rate", values.rate, 1, 20_000),
    connections: integer("connections", values.connections, 1, 1000),
    seconds: values.seconds === undefined ? null : integer("seconds", values.seconds, 1, 600),
    requests,
    concurrency,
    folder: values.folder ?? null,
  };
}
