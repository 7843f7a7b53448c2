// One connection of the load generator: sends the same request over and over, one at a time, and reads each answer to its last byte.
//
// It understands what the origins here answer: a head with Content-Length. Anything else is an error, not a guess.

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

const READ_BYTES = 64 * 1024;
const HEAD_END = Buffer.from("\r\n\r\n");
const LENGTH_FIELD = /\r\ncontent-length: *(\d+)\r\n/i;

/** Shared by all connections: bytes are looked at during the callback only. */
const readBuffer = Buffer.alloc(READ_BYTES);

export interface LoadConnection {
  /** When the request that is on its way was due, microseconds; set by the owner. */
  dueUs: number;
  send(): void;
  close(): void;
}

export interface ConnectionOwner {
  /** The answer is complete; `ok`: it was the right one. The connection is free again. */
  onAnswer(connection: LoadConnection, ok: boolean): void;
  onOpen(connection: LoadConnection): void;
  /** The connection is gone, or never came about. */
  onLost(connection: LoadConnection): void;
}

export class HttpConnection implements LoadConnection {
  dueUs = 0;
  /** A request is on its way. */
  #isBusy = false;
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #owner: ConnectionOwner;
  /** Bytes of the body that are still to come; -1 while the head is read. */
  #left = -1;
  /** A head that came in pieces. */
  #head: Buffer = Buffer.alloc(0);
  #isOk = false;

  constructor(host: string, port: number, request: Buffer, owner: ConnectionOwner) {
    this.#request = request;
    this.#owner = owner;
    const onread = {
      buffer: readBuffer,
      callback: (count: number): boolean => {
        this.#read(readBuffer.subarray(0, count));
        return true;
      },
    };
    this.#socket = connect({ port, host, noDelay: true, onread });
    this.#socket.on("error", () => {});
    this.#socket.once("connect", () => owner.onOpen(this));
    this.#socket.once("close", () => owner.onLost(this));
  }

  send(): void {
    this.#isBusy = true;
    this.#left = -1;
    this.#socket.write(this.#request);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    let body = bytes;
    if (this.#left < 0) {
      const head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
      const end = head.indexOf(HEAD_END);
      if (end < 0) {
        this.#head = Buffer.from(head);
        return;
      }
      this.#head = Buffer.alloc(0);
      const text = head.toString("latin1", 0, end + 2);
      const length = LENGTH_FIELD.exec(text)?.[1];
      if (!this.#isBusy || length === undefined) {
        this.close();
        return;
      }
      this.#isOk = text.startsWith("HTTP/1.1 2");
      this.#left = Number(length);
      body = head.subarray(end + HEAD_END.length);
    }
    if (body.length > this.#left) {
      this.close();
      return;
    }
    this.#left -= body.length;
    if (this.#left === 0) {
      this.#isBusy = false;
      this.#left = -1;
      this.#owner.onAnswer(this, this.#isOk);
    }
  }
}
