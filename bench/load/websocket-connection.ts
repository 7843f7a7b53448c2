// One WebSocket of the load generator: sends the same message over and over and waits for its echo each time (RFC 6455).
//
// The message is one masked frame, made once: a fixed mask is enough here, nobody on this machine has to be protected from it. Of what
// comes back it understands one unmasked frame of the same payload and nothing else; anything other ends the connection.

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import type { ConnectionOwner, LoadConnection } from "./connection.ts";

/** Fits the short form of the frame's length (5.2). */
export const MESSAGE_BYTES = 100;
const BINARY_FRAME = 0x82;
const MASKED = 0x80;
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
const HEAD_END = Buffer.from("\r\n\r\n");
const HEAD_BYTES_MAX = 16 * 1024;

const payload = Buffer.alloc(MESSAGE_BYTES, "w");
const frame = Buffer.concat([
  Buffer.from([BINARY_FRAME, MASKED | MESSAGE_BYTES]),
  MASK,
  Buffer.from(payload.map((byte, index) => byte ^ MASK[index % MASK.length]!)),
]);
const echo = Buffer.concat([Buffer.from([BINARY_FRAME, MESSAGE_BYTES]), payload]);

export class WebSocketConnection implements LoadConnection {
  dueUs = 0;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  #isUpgraded = false;
  #isBusy = false;
  /** What has come and is not a whole head or frame yet. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(port: number, path: string, owner: ConnectionOwner) {
    this.#owner = owner;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("error", () => {});
    this.#socket.once("connect", () => {
      const fields = `Host: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13`;
      this.#socket.write(`GET ${path} HTTP/1.1\r\n${fields}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`);
    });
    this.#socket.on("data", (bytes: Buffer) => this.#read(bytes));
    this.#socket.once("close", () => owner.onLost(this));
  }

  send(): void {
    this.#isBusy = true;
    this.#socket.write(frame);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    if (!this.#isUpgraded) {
      const end = this.#rest.indexOf(HEAD_END);
      if (end < 0 && this.#rest.length < HEAD_BYTES_MAX) return;
      if (end < 0 || !this.#rest.toString("latin1", 0, 13).startsWith("HTTP/1.1 101 ")) {
        this.close();
        return;
      }
      this.#isUpgraded = true;
      this.#rest = this.#rest.subarray(end + HEAD_END.length);
      this.#owner.onOpen(this);
      if (this.#rest.length === 0) return;
    }
    if (this.#rest.length < echo.length && this.#isBusy) return;
    if (!this.#isBusy || !this.#rest.equals(echo)) {
      this.close();
      return;
    }
    this.#rest = Buffer.alloc(0);
    this.#isBusy = false;
    this.#owner.onAnswer(this, true);
  }
}
