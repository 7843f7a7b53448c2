// Keys of TLS session tickets: one set for all workers, so that a client resumes wherever its connection lands, and a new one
// every hour, because whoever gets hold of a key can read the TLS 1.2 sessions that it sealed. Node's tickets live for 5 minutes.
//
// Node knows one key at a time: a ticket from before a change leads to a full handshake, never to a failure.

import { randomBytes } from "node:crypto";

/** RFC 5077 section 4: name 16 bytes, HMAC key 16, AES key 16. */
const KEY_BYTES = 48;
const ROTATE_MS = 3_600_000;

export class TicketKeys {
  current: Uint8Array = makeKeys();
  readonly #timer: NodeJS.Timeout;

  /** @param onRotate gets the new keys; keeps no process alive */
  constructor(onRotate: (keys: Uint8Array) => void, rotateMs = ROTATE_MS) {
    this.#timer = setInterval(() => {
      this.current = makeKeys();
      onRotate(this.current);
    }, rotateMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Memory of its own: what goes to another thread is copied whole. */
function makeKeys(): Uint8Array {
  return new Uint8Array(randomBytes(KEY_BYTES));
}
