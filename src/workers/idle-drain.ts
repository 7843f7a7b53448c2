// How long a connection without a request may stay when the proxy ends.
//
// A client that asked a moment ago may ask again just now: its next request is answered, with `Connection: close`. One that has been idle for
// longer than that is let go at once: it would lose a request on its way no less often a second later.

import type { ForwarderContext } from "./forwarder-context.ts";
import type { Transport } from "./transport.ts";

/**
 * Of a connection whose deadline is that of its idle time (idleTimeoutMs). True: it has been idle for drainIdleMs, and is to be closed; otherwise
 * its deadline is when it will have been.
 */
export function isIdleForLong({ loop, shared }: ForwarderContext, transport: Transport): boolean {
  const { idleTimeoutMs, drainIdleMs } = shared.limits;
  const { now } = loop;
  transport.deadlineAt = Math.min(transport.deadlineAt - idleTimeoutMs + drainIdleMs, now + drainIdleMs);
  return transport.deadlineAt <= now;
}
