// Services that have no document: an inbound target, or what the command line's `--to` names.

import { parseIp } from "../core/route/ip-literal.ts";
import { LOAD_BALANCER } from "./defaults.ts";
import type { HostPort, ServiceSnapshot } from "./snapshot.ts";

/** A service over the targets: addresses as they are, names for DNS. Any port may be named. */
export function makeTargetService(
  identity: { readonly key: string; readonly name: string; readonly namespace: string },
  targets: readonly HostPort[],
): ServiceSnapshot {
  const isAddress = (target: HostPort): boolean => parseIp(target.host) !== null;
  return {
    ...identity,
    ports: [],
    loadBalancer: LOAD_BALANCER,
    addresses: targets.filter(isAddress),
    dns: targets.filter((target) => !isAddress(target)),
  };
}
