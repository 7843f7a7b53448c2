// What a reload changed, for the one line of the log that says that it was applied. Pure.
//
// It is read off the update that the workers get, which holds only what is different: nothing is compared a second time. At most NAMES_MAX
// names of each kind are listed, so that a line stays readable when thousands move.

import type { ProxySnapshot, WorkerUpdate } from "../config/snapshot.ts";
import type { LogFields } from "./forwarder-types.ts";

/** Names per kind; the rest is a number. */
const NAMES_MAX = 10;

/** Fields such as `servicesAdded: ["shop/web"]`, only those that there are. `update` null: nothing that concerns the workers changed. */
export function reloadSummary(before: ProxySnapshot, update: WorkerUpdate | null): LogFields {
  if (update === null) return { changed: "nothing" };
  const known = new Set(before.services.map(({ key }) => key));
  const keys = update.services.map(({ key }) => key);
  return {
    ...listed(
      "servicesAdded",
      keys.filter((key) => !known.has(key)),
    ),
    ...listed(
      "servicesChanged",
      keys.filter((key) => known.has(key)),
    ),
    ...listed("servicesRemoved", update.removed),
    ...(update.proxy !== null && { proxyChanged: true }),
  };
}

function listed(key: string, names: readonly string[]): LogFields {
  if (names.length === 0) return {};
  const rest = names.length - NAMES_MAX;
  return { [key]: rest > 0 ? [...names.slice(0, NAMES_MAX), `and ${rest} more`] : names };
}
