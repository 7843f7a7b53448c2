// Which streams were reset lately, and by whom: frames for them may be on their way still (RFC 9113 section 5.1, closed).
//
// After a reset of ours the peer may send until it has read it: such frames are counted for flow control and HPACK, and dropped. After its
// own reset it may not. A stream that ended, or whose reset is forgotten, may not get frames either. The memory is a ring: a peer that
// still sends on the stream that was reset 256 resets ago has not read for long.

/** Resets remembered, by a power of two: more than twice the streams that a connection may have. */
const RESETS_MAX = 256;

export const ResetBy = { nobody: 0, us: 1, peer: 2 } as const;
export type ResetBy = (typeof ResetBy)[keyof typeof ResetBy];

export class ResetMemory {
  /** Made with the first reset: most connections have none. */
  #ids: Int32Array | null = null;
  #kinds: Uint8Array | null = null;
  #next = 0;

  remember(streamId: number, by: ResetBy): void {
    this.#ids ??= new Int32Array(RESETS_MAX);
    this.#kinds ??= new Uint8Array(RESETS_MAX);
    const at = this.#next & (RESETS_MAX - 1);
    this.#ids[at] = streamId;
    this.#kinds[at] = by;
    this.#next = at + 1;
  }

  /** Who reset it, as far as is known. */
  whoReset(streamId: number): ResetBy {
    const at = this.#ids === null ? -1 : this.#ids.indexOf(streamId);
    return at < 0 ? ResetBy.nobody : (this.#kinds![at]! as ResetBy);
  }
}
