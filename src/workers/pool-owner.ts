// What a pool of connections needs of the endpoint that it belongs to. Types only.

import type { ForwarderContext } from "./forwarder-context.ts";
import type { Transport } from "./transport.ts";
import type { Waiter } from "./waiter-queue.ts";

export interface PoolOwner {
  readonly context: ForwarderContext;
  /** `ip:port`, for messages. */
  readonly address: string;
  readonly target: { readonly host: string; readonly port: number; readonly isIpv6: boolean };
  readonly isReady: boolean;
  /** The configuration or DNS no longer has it. */
  readonly isRemoved: boolean;
  /** A connect succeeded: it is counted, and the endpoint is ready. */
  connected(transport: Transport): void;
  /** A connection that had been established is gone. */
  disconnected(errno: number): void;
  /** It answered HTTP/2's preface with something else, or with nothing. */
  notHttp2(): void;
  /** A connect failed: the endpoint pauses, and these (who no longer wait) are told. */
  failWaiters(waiters: readonly Waiter[], errno: number): void;
}
