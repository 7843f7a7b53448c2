// The options of `weft run`, read with Node's own parser: `weft run` lives as long as the command that it runs.
//
// What stands before `--` is for Weft, what stands behind it is the command, untouched. The proxy's options are handed on as they were
// given: the proxy itself says what is wrong with them.

import { parseArgs } from "node:util";
import { parseDurationMs } from "../../core/util/duration.ts";
import { readProxyArguments } from "../proxy-arguments.ts";

/** As Linkerd's await: the command waits so long for its proxy. */
const READY_TIMEOUT = "2m";
/** A timer holds no more (24.8 days). */
const READY_TIMEOUT_MAX_MS = 2 ** 31 - 1;

export interface RunOptions {
  /** The options of `weft proxy`. */
  readonly proxy: readonly string[];
  /** http_proxy and its like are set in the command's environment. */
  readonly httpProxy: boolean;
  /** Milliseconds, at least 1. */
  readonly readyTimeoutMs: number;
  /** Where the proxy's log goes, instead of standard error. */
  readonly proxyLog: string | null;
  /** At least one word. */
  readonly command: readonly string[];
}

/** The options, or null for anything that is not plainly `[options] -- COMMAND`: help, unknown ones, no command. */
export function readRunArguments(args: readonly string[]): RunOptions | null {
  const end = args.indexOf("--");
  const command = args.slice(end + 1);
  if (end < 0 || command.length === 0 || command[0] === "") return null;
  const own = splitOwn(args.slice(0, end));
  if (own === null || readProxyArguments(own.proxy) === null) return null;
  const readyTimeoutMs = parseDurationMs(own.readyTimeout) ?? 0;
  if (readyTimeoutMs < 1 || readyTimeoutMs > READY_TIMEOUT_MAX_MS) return null;
  return { proxy: own.proxy, httpProxy: own.httpProxy, readyTimeoutMs, proxyLog: own.proxyLog, command };
}

interface Own {
  readonly proxy: string[];
  readonly httpProxy: boolean;
  readonly readyTimeout: string;
  readonly proxyLog: string | null;
}

function splitOwn(args: readonly string[]): Own | null {
  const text = { type: "string" } as const;
  try {
    const { tokens, values } = parseArgs({
      args: [...args],
      options: {
        config: text,
        listen: text,
        to: { type: "string", multiple: true },
        workers: text,
        admin: text,
        name: text,
        "http-proxy": { type: "boolean" },
        "ready-timeout": text,
        "proxy-log": text,
      },
      allowPositionals: false,
      strict: true,
      tokens: true,
    });
    const proxy: string[] = [];
    for (const token of tokens) {
      if (token.kind !== "option" || token.value === undefined || token.name === "ready-timeout" || token.name === "proxy-log") continue;
      proxy.push(`--${token.name}=${token.value}`);
    }
    return {
      proxy,
      httpProxy: values["http-proxy"] === true,
      readyTimeout: values["ready-timeout"] ?? READY_TIMEOUT,
      proxyLog: values["proxy-log"] ?? null,
    };
  } catch {
    return null;
  }
}
