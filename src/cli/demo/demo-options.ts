// The demo's arguments, checked: every mistake is a sentence that says what would be right.

import { parseArgs } from "node:util";

export interface DemoOptions {
  /** null: until Ctrl-C. */
  readonly durationMs: number | null;
  /** 0: any free port. */
  readonly port: number;
  readonly adminPort: number;
  /** Requests per second. */
  readonly rate: number;
}

export const DEMO_USAGE = `Three services, the proxy in front of them, a steady load and a live table.

  npm start -- [--duration 10s] [--port 4140] [--admin-port 4191] [--rate 200]

  --duration    end after so long, with a summary (10s, 2m, 500ms); default: until Ctrl-C
  --port        the proxy's port on 127.0.0.1, 0 for any free one; default 4140
  --admin-port  the admin port, likewise; default 4191
  --rate        requests per second, 1 to 5000; default 200
`;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, "": 1000 };

/** `10s`, `1.5m`, `500ms` or a number of seconds, in milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * UNITS[match[2]!]!;
  if (!(ms >= 100 && ms <= 86_400_000)) throw new RangeError(`--duration ${text}: use a time between 100ms and 24h, for example 10s`);
  return ms;
}

function parseWhole(name: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : -1;
  if (value < min || value > max) throw new RangeError(`--${name} ${text}: use a whole number from ${min} to ${max}`);
  return value;
}

/** Options of the command line; null when help was asked for. Throws RangeError or TypeError with a message for people. */
export function parseDemoOptions(args: readonly string[]): DemoOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      duration: { type: "string" },
      port: { type: "string", default: "4140" },
      "admin-port": { type: "string", default: "4191" },
      rate: { type: "string", default: "200" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return null;
  return {
    durationMs: values.duration === undefined ? null : parseDuration(values.duration),
    port: parseWhole("port", values.port, 0, 65_535),
    adminPort: parseWhole("admin-port", values["admin-port"], 0, 65_535),
    rate: parseWhole("rate", values.rate, 1, 5000),
  };
}
