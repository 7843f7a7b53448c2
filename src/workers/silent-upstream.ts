// The connection to an endpoint that is dialled on suspicion, because a client is silent: whoever dialled hears who speaks or leaves first.

import type { Buffer } from "node:buffer";
import type { Lease } from "../core/http/exchange.ts";
import { UV_ETIMEDOUT } from "./errno.ts";
import type { TransportOwner } from "./transport.ts";

export interface SilentUpstreamOwner {
  onServerSpoke(buffer: Buffer, start: number, end: number, lease: Lease | null): void;
  /** The connect failed. */
  onServerFailed(errno: number): void;
  onServerLeft(): void;
  onServerClosed(errno: number): void;
}

export class SilentUpstream implements TransportOwner {
  readonly #owner: SilentUpstreamOwner;

  constructor(owner: SilentUpstreamOwner) {
    this.#owner = owner;
  }

  onBytes(buffer: Buffer, start: number, end: number, lease: Lease | null): void {
    this.#owner.onServerSpoke(buffer, start, end, lease);
  }

  onEnd(): void {
    this.#owner.onServerLeft();
  }

  onWritable(): void {}

  /** Of the connect: a connection that stands has none. */
  onDeadline(): void {
    this.#owner.onServerFailed(UV_ETIMEDOUT);
  }

  onClosed(errno: number): void {
    this.#owner.onServerClosed(errno);
  }
}
