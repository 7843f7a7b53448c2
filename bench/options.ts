// The command line of the benchmarks.

import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Interleaved rounds per scenario. */
  readonly pairs: number;
  /** Short runs, few pairs: to see whether the script works, not for figures. */
  readonly quick: boolean;
  readonly format: "text" | "json";
  /** Exit code 1 when a bar is missed. */
  readonly assert: boolean;
  /** Empty: all of the command. */
  readonly scenarios: readonly string[];
  /** Which proxies run; `weft` is measured against the others. */
  readonly peers: readonly string[];
  readonly origin: "nginx" | "uws";
  /** Of load, for memory growth. */
  readonly minutes: number;
  /** Worker threads of Weft. */
  readonly workers: number;
  /** Requests per second of the open-loop runs. */
  readonly rate: number;
  readonly connections: number;
}

export const USAGE = `usage: npm run bench -- COMMAND [OPTIONS]

commands
  cpu       CPU per request of Weft beside nginx and HAProxy: small, close, download, upload, rate
  latency   what one proxy adds to the latency, open loop
  memory    start, idle memory and CPU, bytes per connection, growth under load
  all       the three

options
  --pairs N          interleaved rounds (default 9; latency: 10)
  --quick            short runs and 3 rounds: shows that it works, the figures are worth little
  --scenario NAME    only this one; may be given several times
  --peers A,B        proxies to run (default weft,nginx,haproxy)
  --origin NAME      nginx or uws (default nginx if it is installed)
  --workers N        worker threads of Weft (default 1)
  --rate N           requests per second of open-loop runs (default 1000)
  --connections N    connections of open-loop runs (default 16)
  --minutes N        load for the memory growth run (default 1)
  -o, --output FMT   text or json
  --assert           exit code 1 when a bar is missed
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
  if (found === undefined) throw new UsageError(`--${name} is one of ${choices.join(", ")}, not '${text}'`);
  return found;
}

const PEERS = ["weft", "nginx", "haproxy"];

/** Throws UsageError, or parseArgs' own TypeError for options that it does not know. */
export function parseOptions(args: readonly string[], defaultOrigin: "nginx" | "uws"): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pairs: { type: "string" },
      quick: { type: "boolean", default: false },
      scenario: { type: "string", multiple: true, default: [] },
      peers: { type: "string", default: PEERS.join(",") },
      origin: { type: "string", default: defaultOrigin },
      workers: { type: "string", default: "1" },
      rate: { type: "string", default: "1000" },
      connections: { type: "string", default: "16" },
      minutes: { type: "string", default: "1" },
      output: { type: "string", short: "o", default: "text" },
      assert: { type: "boolean", default: false },
    },
  });
  return {
    pairs: integer("pairs", values.pairs ?? (values.quick ? "3" : "9"), 1, 1000),
    quick: values.quick,
    format: choice("output", values.output, ["text", "json"]),
    assert: values.assert,
    scenarios: values.scenario,
    peers: values.peers.split(",").map((name) => choice("peers", name, PEERS)),
    origin: choice("origin", values.origin, ["nginx", "uws"]),
    minutes: integer("minutes", values.minutes, 0, 600),
    workers: integer("workers", values.workers, 0, 64),
    rate: integer("rate", values.rate, 1, 20_000),
    connections: integer("connections", values.connections, 1, 1000),
  };
}
