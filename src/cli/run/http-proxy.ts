// The variables by which programs are told of a forward proxy, for the command's environment alone.
//
// https_proxy is left alone: TLS would come as CONNECT to names that the proxy does not know.

import { formatHostPort } from "../../config/address.ts";
import type { ListenerSnapshot } from "../../config/snapshot.ts";

/** Never through a proxy: the command's own neighbours. */
const LOCAL = ["localhost", "127.0.0.1", "::1"];

export type ProxyAddress = { readonly url: string } | { readonly mistake: string };

/** Where the command reaches the proxy's outbound listener. */
export function proxyAddress(listeners: readonly ListenerSnapshot[]): ProxyAddress {
  const outbound = listeners.find(({ id }) => id === "outbound");
  if (outbound === undefined) return { mistake: "spec.outbound.listen is off" };
  if (outbound.transparent) return { mistake: "spec.outbound is transparent: what was not redirected there is refused" };
  if (outbound.tls !== undefined) return { mistake: "spec.outbound has tls" };
  const { host, port } = outbound.listen;
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return { url: `http://${formatHostPort({ host: reachable, port })}` };
}

/** A copy of the environment with the proxy; names that were exempt stay so. */
export function withHttpProxy(environment: NodeJS.ProcessEnv, url: string): NodeJS.ProcessEnv {
  const before = environment.no_proxy ?? environment.NO_PROXY ?? "";
  const exempt = [...new Set([...before.split(",").map((name) => name.trim()), ...LOCAL])].filter((name) => name !== "").join(",");
  return { ...environment, http_proxy: url, HTTP_PROXY: url, no_proxy: exempt, NO_PROXY: exempt };
}
