// What `weft run` and the process of its proxy say to each other.

import type { ProxyAddress } from "./http-proxy.ts";

/** The proxy serves. */
export interface ReadyMessage {
  readonly type: "ready";
  readonly httpProxy: ProxyAddress;
}

export type RunMessage =
  /** The first begins the drain, the second cuts what is left. */
  | { readonly type: "stop" }
  /** Which process runs the command, should `weft run` be killed. */
  | { readonly type: "command"; readonly pid: number };
