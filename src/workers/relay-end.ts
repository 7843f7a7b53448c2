// One end of an opaque connection, as a relay uses it: a TCP connection, or a tunnel through another proxy of the mesh. Types only.

import type { Buffer } from "node:buffer";
import type { Lease } from "../core/http/exchange.ts";
import type { ReadMode } from "./read-buffer.ts";
import type { TransportOwner } from "./transport.ts";

export interface TunnelRefusal {
  readonly reason: string;
  /** Neither will it later, nor does that say anything of the service's health. */
  readonly isFinal: boolean;
  /** It said so itself: the connection to it stands. */
  readonly isAnswer: boolean;
}

export interface RelayEnd {
  /** Hears what comes. It is never called from inside a call of its own. */
  owner: TransportOwner;
  readMode: ReadMode;
  /** Milliseconds of the loop's clock, 0: none. */
  deadlineAt: number;
  readonly isClosed: boolean;
  /** It wants no more bytes; `owner.onWritable` follows. */
  readonly isCongested: boolean;
  /** Bytes that were written and have not left. */
  readonly unsentBytes: number;
  /** Why another proxy does not open the tunnel. */
  readonly refusal?: TunnelRefusal | null;
  write(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  flush(): void;
  pause(): void;
  resume(): void;
  /** FIN behind what was written. */
  shutdown(): void;
  /** What was asked for before it was connected. */
  finishConnect(): void;
  /** Ends it now; `isAbort`: so that the peer sees it. */
  close(isAbort: boolean): void;
}
