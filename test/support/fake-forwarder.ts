// A forwarder that answers by itself, for tests of the threads around it: no routing, no upstream, HTTP by the shortest way.
//
// GET /thread -> the thread's id; /slow/<ms> -> after so many milliseconds; /listener -> the listener's id; /version -> the
// version of the configuration. Counts request_total, so that counters can be watched. With `WEFT_FAKE_FORWARDER_FAILS` set,
// a thread dies while it loads this module.

import { Buffer } from "node:buffer";
import { threadId } from "node:worker_threads";
import type { WorkerUpdate } from "../../src/config/snapshot.ts";
import { newTcpHandle, readResult, ShutdownWrap, type TcpHandle, WriteWrap } from "../../src/workers/native-handles.ts";
import type { ForwarderLike, ForwarderOptions } from "../../src/workers/forwarder-types.ts";

if (process.env["WEFT_FAKE_FORWARDER_FAILS"] === "1") throw new Error("fake forwarder: told to fail");

const LABELS = { direction: "outbound", dst_service: "fake", dst_namespace: "test", target_addr: "127.0.0.1:1" };

class FakeForwarder implements ForwarderLike {
  readonly #options: ForwarderOptions;
  readonly #connections = new Set<FakeConnection>();
  readonly #requests: number;
  readonly #buffer = Buffer.alloc(64 * 1024);
  isDraining = false;
  version = -1;
  services: readonly string[] = [];

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#requests = options.recorder.counter("request_total", LABELS);
  }

  update(update: WorkerUpdate): void {
    this.version = update.version;
    this.services = [...update.services.map((service) => `${service.key}=${service.endpoints.join("+")}`)];
  }

  adopt(fd: number, listenerId: string): void {
    const handle = newTcpHandle();
    if (handle.open(fd) !== 0) {
      handle.close();
      return;
    }
    const connection = new FakeConnection(this, handle, listenerId, this.#buffer);
    this.#connections.add(connection);
    this.#options.onOpenConnections(this.#connections.size);
  }

  namesAsked(): void {}

  drain(): void {
    this.isDraining = true;
    for (const connection of [...this.#connections]) connection.closeIfIdle();
  }

  cut(): number {
    const count = this.#connections.size;
    for (const connection of [...this.#connections]) connection.close();
    return count;
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  stats(): object {
    return { version: this.version, services: this.services };
  }

  idle(): boolean {
    return this.#connections.size === 0;
  }

  counted(): void {
    this.#options.recorder.slots[this.#requests]! += 1;
  }

  connectFailed(): void {
    this.#options.onConnectFailed("test/fake", "127.0.0.1:1");
  }

  gone(connection: FakeConnection): void {
    this.#connections.delete(connection);
    this.#options.onOpenConnections(this.#connections.size);
  }
}

class FakeConnection {
  readonly #forwarder: FakeForwarder;
  readonly #handle: TcpHandle;
  readonly #listenerId: string;
  readonly #buffer: Buffer;
  #text = "";
  #isBusy = false;
  #isOpen = true;

  constructor(forwarder: FakeForwarder, handle: TcpHandle, listenerId: string, buffer: Buffer) {
    this.#forwarder = forwarder;
    this.#handle = handle;
    this.#listenerId = listenerId;
    this.#buffer = buffer;
    handle.useUserBuffer(buffer);
    handle.onread = () => {
      this.#read(readResult());
      return undefined;
    };
    handle.readStart();
  }

  #read(size: number): void {
    if (size < 0) {
      this.close();
      return;
    }
    this.#text += this.#buffer.toString("latin1", 0, size);
    this.#next();
  }

  #next(): void {
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0 || this.#isBusy || !this.#isOpen) return;
    const path = this.#text.split(" ")[1] ?? "/";
    const isLast = /^connection: close/im.test(this.#text.slice(0, end)) || / HTTP\/1\.0/.test(this.#text.slice(0, end));
    this.#text = this.#text.slice(end + 4);
    this.#isBusy = true;
    if (path === "/connect-failed") this.#forwarder.connectFailed();
    const slow = /^\/slow\/(\d+)/.exec(path)?.[1];
    if (slow === undefined) this.#answer(path, isLast);
    else setTimeout(() => this.#answer(path, isLast), Number(slow));
  }

  #answer(path: string, isLast: boolean): void {
    if (!this.#isOpen) return;
    this.#forwarder.counted();
    const closes = isLast || this.#forwarder.isDraining;
    const body = this.#body(path);
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${closes ? "Connection: close\r\n" : ""}\r\n`;
    const request = new WriteWrap();
    request.buffer = Buffer.from(head + body, "latin1");
    request.oncomplete = () => undefined;
    this.#isBusy = false;
    if (this.#handle.writeBuffer(request, request.buffer as Buffer) !== 0) this.close();
    else if (closes) this.#shut();
    else this.#next();
  }

  #body(path: string): string {
    if (path === "/listener") return this.#listenerId;
    if (path === "/version") return String(this.#forwarder.version);
    if (path === "/services") return this.#forwarder.services.join(" ");
    return String(threadId);
  }

  #shut(): void {
    const request = new ShutdownWrap();
    request.owner = this;
    request.oncomplete = () => undefined;
    if (this.#handle.shutdown(request) !== 0) this.close();
  }

  closeIfIdle(): void {
    if (!this.#isBusy && this.#text === "") this.close();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#handle.close();
    this.#forwarder.gone(this);
  }
}

export function createForwarder(options: ForwarderOptions): ForwarderLike {
  return new FakeForwarder(options);
}
