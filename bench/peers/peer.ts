// What the benchmarks know about a server that they start: where it listens and which process to look at.

import type { Child } from "../support/child.ts";

/** The usual tiny page: as long as a small JSON answer. */
export const SMALL_BODY_BYTES = 248;

/** Connections that any of them must be able to hold; with one upstream each it still fits an ordinary limit of descriptors. */
export const CONNECTIONS_MAX = 8_192;

export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly child: Child;
  /** Weft's admin port; null for the others. */
  readonly adminPort: number | null;
}
