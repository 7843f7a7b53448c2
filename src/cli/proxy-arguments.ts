// The options of `weft proxy`, read with Node's own parser.

import { parseArgs } from "node:util";

/** As they were given; what they mean is checked by the command. */
export interface ProxyOptions {
  readonly config?: string;
  readonly listen?: string;
  readonly to?: readonly string[];
  readonly workers?: string;
  readonly admin?: string;
  readonly name?: string;
  /** It ends when its application has ended. */
  readonly job?: boolean;
}

/** The options, `null` for anything that is not plainly options of this command: help, unknown ones, values missing. */
export function readProxyArguments(args: readonly string[]): ProxyOptions | null {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: text,
        listen: text,
        to: { type: "string", multiple: true },
        workers: text,
        admin: text,
        name: text,
        job: { type: "boolean" },
      },
      allowPositionals: false,
      strict: true,
    });
    return values;
  } catch {
    return null;
  }
}
