// Pieces of one write that lie in different memory: frame headers in the turn's chunk, payload between them where it was read.
//
// A codec that puts a header before every 16 KiB of a body would otherwise copy the body or make a system call per frame. Leases are
// held from the moment that a piece is added until the kernel has it.

import type { Buffer } from "node:buffer";
import type { Lease } from "../core/http/exchange.ts";

/** Pieces per write: an iovec of 16 bytes each; 1024 (IOV_MAX) is what the kernel takes. */
const PIECES_MAX = 64;
/** Bytes after which a turn's write leaves at once: more only adds latency. */
const BYTES_MAX = 256 * 1024;

export class GatheredWrite implements Lease {
  #pieces: Buffer[] = [];
  #leases: Lease[] = [];
  /** Of all pieces. */
  bytes = 0;

  get isEmpty(): boolean {
    return this.bytes === 0;
  }

  get isFull(): boolean {
    return this.#pieces.length >= PIECES_MAX || this.bytes >= BYTES_MAX;
  }

  /** The lease is retained here; null for the turn's own chunk, which its write returns. */
  add(piece: Buffer, lease: Lease | null): void {
    this.#pieces.push(piece);
    this.bytes += piece.length;
    if (lease !== null) {
      lease.retain();
      this.#leases.push(lease);
    }
  }

  /** The pieces in order, for one writev. */
  get pieces(): readonly Buffer[] {
    return this.#pieces;
  }

  /** Held since `add`: whoever keeps this object until a write is done has nothing to add. */
  retain(): void {}

  release(): void {
    for (const lease of this.#leases) lease.release();
    this.#leases = [];
    this.#pieces = [];
    this.bytes = 0;
  }
}
