// What a pool of connections needs of the endpoint that it belongs to. Types only.

import type { ForwarderContext } from "./forwarder-context.ts";
import type { Transport, TransportOwner } from "./transport.ts";
import type { Waiter } from "./waiter-queue.ts";

export interface PoolOwner {
  readonly context: ForwarderContext;
  /** `ip:port`, for messages. */
  readonly address: string;
  readonly target: { readonly host: string; readonly port: number; readonly isIpv6: boolean };
  readonly isReady: boolean;
  /** Another proxy of the mesh is there. */
  readonly isMesh: boolean;
  /** The configuration or DNS no longer has it. */
  readonly isRemoved: boolean;
  /** Begins to connect for HTTP/2; `onConnected` is called later, 0 or a negative number of errno.ts. */
  dialHttp2(owner: TransportOwner, onConnected: (status: number) => void): Transport;
  /** A proxy of the mesh closed before its SETTINGS came: the endpoint pauses, and these (who no longer wait) are told. */
  refusedUs(waiters: readonly Waiter[]): void;
  /** A connect succeeded: it is counted, and the endpoint is ready. */
  connected(transport: Transport): void;
  /** A connection that had been established is gone. */
  disconnected(errno: number): void;
  /** It has sent SETTINGS before: nobody has to wait for those of a new connection. */
  readonly speaksHttp2: boolean;
  /** It is taken for one that speaks HTTP/1 only. */
  readonly isHttp1: boolean;
  /** Its SETTINGS came. */
  spokeHttp2(): void;
  /** A connection ended before its SETTINGS came. `isCertain`: with something that is not HTTP/2. */
  endedUnspoken(isCertain: boolean): void;
  /** It answered HTTP/1 with something else. */
  brokeHttp1(): void;
  /** The waiter is to be served by whatever pool fits now. */
  acquire(waiter: Waiter, isFresh: boolean): void;
  /** Nobody answers PING at another proxy of the mesh: the endpoint pauses, and these (who no longer wait) go elsewhere. */
  silent(waiters: readonly Waiter[]): void;
  /** A connect failed: the endpoint pauses, and these (who no longer wait) are told. */
  failWaiters(waiters: readonly Waiter[], errno: number): void;
}
