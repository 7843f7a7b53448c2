// The body of a request as it was sent so far, for as long as the upstream may still refuse the whole stream unprocessed.

import type { Buffer } from "node:buffer";
import { Stash } from "./stash.ts";

/** Bytes kept per request; with more it is sent once only. Linkerd keeps as many. */
const REPLAY_BYTES_MAX = 64 * 1024;

export class RequestReplay {
  #bytes: Stash | null = null;
  /** All that was sent is here. */
  isWhole = false;

  /** `isWanted`: the upstream can refuse what it has not looked at (HTTP/2). */
  begin(isWanted: boolean): void {
    this.#bytes = null;
    this.isWhole = isWanted;
  }

  add(buffer: Buffer, start: number, end: number): void {
    if (!this.isWhole) return;
    this.#bytes ??= new Stash();
    if (this.#bytes.size + end - start > REPLAY_BYTES_MAX) this.drop();
    else this.#bytes.append(buffer, start, end);
  }

  /** From here on the request cannot be sent again. */
  drop(): void {
    this.#bytes = null;
    this.isWhole = false;
  }

  sendTo(upstream: { sendBody(buffer: Buffer, start: number, end: number, lease: null): void }): void {
    const bytes = this.#bytes;
    if (bytes !== null) upstream.sendBody(bytes.bytes, bytes.start, bytes.end, null);
  }
}
