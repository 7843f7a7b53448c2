// Just enough HTTP/2 over a real socket to exchange header blocks with programs of other make: either side, frames by hand, HPACK by ours.
//
// It sends what it is told and keeps what it gets. Flow control is not its business: nobody sends bodies here beyond a few bytes.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { HpackDecoder } from "../../../src/core/hpack/decoder.ts";
import { type EncoderOptions, HpackEncoder } from "../../../src/core/hpack/encoder.ts";
import { HpackCode } from "../../../src/core/hpack/hpack-codes.ts";
import { decode, encode, type Field } from "./codec.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const Frame = { data: 0, headers: 1, rstStream: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8, continuation: 9 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;
const PRIORITY = 0x20;
const ACK = 1;
const HEADER_TABLE_SIZE = 1;
const FRAME_BYTES_MAX = 16_384;

export interface Head {
  readonly stream: number;
  readonly fields: Field[];
  readonly size: number;
}

export interface RawOptions extends EncoderOptions {
  /** SETTINGS_HEADER_TABLE_SIZE that we announce at first. */
  readonly tableSize?: number;
  /** Called for each header block. */
  readonly onHead?: (connection: RawH2, head: Head) => void;
}

export class RawH2 {
  readonly heads: Head[] = [];
  readonly decoder = new HpackDecoder({ listBytesMax: 64 * 1024, fieldsMax: 200 });
  readonly encoder: HpackEncoder;
  /** Table sizes that the peer has announced. */
  readonly peerSizes: number[] = [];
  /** Blocks that began with a table size update. */
  sizeUpdates = 0;
  /** What went wrong, to be thrown where the test waits. */
  failure: Error | null = null;
  readonly #socket: Socket;
  readonly #options: RawOptions;
  readonly #unacknowledged: number[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #block: Buffer[] = [];
  #skip: number;

  constructor(socket: Socket, isServer: boolean, options: RawOptions) {
    this.#socket = socket;
    this.#options = options;
    this.encoder = new HpackEncoder(options);
    this.#skip = isServer ? PREFACE.length : 0;
    if (!isServer) socket.write(PREFACE);
    this.setTableSize(options.tableSize ?? 4096);
    socket.on("data", (bytes) => {
      try {
        this.#read(bytes);
      } catch (error) {
        this.failure ??= error as Error;
        socket.destroy();
      }
    });
    socket.on("error", (error) => (this.failure ??= error));
  }

  static async connect(port: number, options: RawOptions = {}): Promise<RawH2> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new RawH2(socket, false, options);
  }

  /** Announces another size for the peer's encoder. */
  setTableSize(size: number): void {
    this.#unacknowledged.push(size);
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(HEADER_TABLE_SIZE, 0);
    payload.writeUInt32BE(size, 2);
    this.#frame(Frame.settings, 0, 0, payload);
  }

  sendHead(stream: number, fields: readonly Field[], endStream: boolean): void {
    const block = encode(this.encoder, fields);
    for (let at = 0; at === 0 || at < block.length; at += FRAME_BYTES_MAX) {
      const isLast = at + FRAME_BYTES_MAX >= block.length;
      const flags = (isLast ? END_HEADERS : 0) | (at === 0 && endStream ? END_STREAM : 0);
      this.#frame(at === 0 ? Frame.headers : Frame.continuation, flags, stream, block.subarray(at, at + FRAME_BYTES_MAX));
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Resolves when a condition holds; rejects with what went wrong, or when the connection ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.failure !== null) throw this.failure;
      if (this.#socket.destroyed) throw new Error("the connection ended");
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  #read(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (this.#bytes.length < this.#skip) return;
    if (this.#skip > 0) assert.equal(this.#bytes.toString("latin1", 0, this.#skip), PREFACE);
    this.#bytes = this.#bytes.subarray(this.#skip);
    this.#skip = 0;
    while (this.#bytes.length >= 9) {
      const size = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + size) return;
      const [type, flags, stream] = [this.#bytes[3]!, this.#bytes[4]!, this.#bytes.readUInt32BE(5)];
      const payload = this.#bytes.subarray(9, 9 + size);
      this.#bytes = this.#bytes.subarray(9 + size);
      this.#receive(type, flags, stream, payload);
    }
  }

  #receive(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === Frame.settings) this.#receiveSettings(flags, payload);
    else if (type === Frame.ping && (flags & ACK) === 0) this.#frame(Frame.ping, ACK, 0, payload);
    else if (type === Frame.goAway && payload.readUInt32BE(4) !== 0)
      throw new Error(`GOAWAY ${payload.readUInt32BE(4)} ${payload.toString("latin1", 8)}`);
    else if (type === Frame.rstStream) throw new Error(`RST_STREAM ${payload.readUInt32BE(0)}`);
    else if (type === Frame.headers || type === Frame.continuation) {
      const padding = (flags & PADDED) !== 0 && type === Frame.headers ? payload[0]! + 1 : 0;
      const start = (padding > 0 ? 1 : 0) + ((flags & PRIORITY) !== 0 && type === Frame.headers ? 5 : 0);
      this.#block.push(payload.subarray(start, payload.length - Math.max(padding - 1, 0)));
      if ((flags & END_HEADERS) === 0) return;
      const block = Buffer.concat(this.#block);
      this.#block = [];
      if (block.length > 0 && (block[0]! & 0xe0) === 0x20) this.sizeUpdates++;
      const decoded = decode(this.decoder, block);
      assert.equal(decoded.code, HpackCode.ok, `the block ${block.toString("hex")}`);
      const head = { stream, fields: decoded.fields, size: block.length };
      this.heads.push(head);
      this.#options.onHead?.(this, head);
    }
  }

  #receiveSettings(flags: number, payload: Buffer): void {
    if ((flags & ACK) !== 0) {
      const size = this.#unacknowledged.shift();
      if (size !== undefined) this.decoder.setTableLimit(size);
      return;
    }
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== HEADER_TABLE_SIZE) continue;
      this.peerSizes.push(payload.readUInt32BE(at + 2));
      this.encoder.setPeerTableSize(payload.readUInt32BE(at + 2));
    }
    this.#frame(Frame.settings, ACK, 0, Buffer.alloc(0));
  }
}

/** A server of raw connections. */
export class RawServer {
  readonly connections: RawH2[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(options: RawOptions): Promise<RawServer> {
    const server = createServer();
    const raw = new RawServer(server);
    server.on("connection", (socket) => raw.connections.push(new RawH2(socket, true, options)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return raw;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Heads of all connections, in the order of the connections. */
  get heads(): Head[] {
    return this.connections.flatMap(({ heads }) => heads);
  }

  /** Throws what went wrong on any connection. */
  check(): void {
    for (const { failure } of this.connections)
      if (failure !== null && (failure as NodeJS.ErrnoException).code !== "ECONNRESET") throw failure;
  }

  async stop(): Promise<void> {
    for (const connection of this.connections) connection.close();
    this.#server.close();
    await once(this.#server, "close");
  }
}
