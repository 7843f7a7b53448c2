import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import koffi from "koffi";
import { type AcceptHandler, type AcceptSource, openAcceptSource } from "../../src/workers/accept-source.ts";
import { newTcpHandle } from "../../src/workers/native-handles.ts";
import { closeDescriptor, EMFILE } from "../../src/workers/system-calls.ts";
import { waitUntil } from "../support/wait.ts";

const libc = koffi.load(null);
const getsockopt = libc.func("int getsockopt(int, int, int, _Out_ int *, _Inout_ uint32_t *)");
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_NOTSENT_LOWAT = 25;

class Collector implements AcceptHandler {
  readonly fds: number[] = [];
  readonly errors: number[] = [];
  batches = 0;

  onConnection(fd: number): void {
    this.fds.push(fd);
  }
  onBatchEnd(): void {
    this.batches++;
  }
  onAcceptError(errno: number): void {
    this.errors.push(errno);
  }
  closeAll(): void {
    for (const fd of this.fds.splice(0)) closeDescriptor(fd);
  }
}

function dial(source: AcceptSource): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(source.port, source.host, () => resolve(socket));
    socket.on("error", reject);
  });
}

for (const mode of ["poll", "event"] as const) {
  describe(`accept source, ${mode}`, () => {
    it("delivers every connection as a descriptor that is open, blocks nothing and has TCP_NODELAY", async () => {
      const source = await openAcceptSource("127.0.0.1", 0, mode);
      const collector = new Collector();
      source.start(collector);
      const clients = await Promise.all(Array.from({ length: 200 }, () => dial(source)));
      await waitUntil("200 connections", () => collector.fds.length === 200);
      const noDelay = [0];
      assert.equal(getsockopt(collector.fds[0], IPPROTO_TCP, TCP_NODELAY, noDelay, [4]), 0);
      assert.equal(noDelay[0], 1);
      assert.equal(new Set(collector.fds).size, 200);
      assert.deepEqual(collector.errors, []);
      collector.closeAll();
      for (const client of clients) client.destroy();
      source.close();
    });

    it("limits the unsent bytes of what it accepts from then on", async () => {
      const source = await openAcceptSource("127.0.0.1", 0, mode);
      const collector = new Collector();
      source.start(collector);
      const clients = [];
      for (const bytes of [100_000, 200_000]) {
        source.limitUnsent(bytes);
        clients.push(await dial(source));
        await waitUntil("the connection", () => collector.fds.length === clients.length);
      }
      const limits = collector.fds.map((fd) => {
        const value = [0];
        assert.equal(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, [4]), 0);
        return value[0];
      });
      assert.deepEqual(limits, [100_000, 200_000]);
      collector.closeAll();
      for (const client of clients) client.destroy();
      source.close();
    });

    it("hands over a connection that libuv can adopt", async () => {
      const source = await openAcceptSource("127.0.0.1", 0, mode);
      const collector = new Collector();
      source.start(collector);
      const client = await dial(source);
      await waitUntil("the connection", () => collector.fds.length === 1);
      const handle = newTcpHandle();
      assert.equal(handle.open(collector.fds[0]!), 0);
      const peer: { port?: number } = {};
      handle.getpeername(peer);
      assert.equal(peer.port, client.localPort);
      handle.close();
      client.destroy();
      source.close();
    });

    it("says EADDRINUSE when the port is taken, with what to do", async () => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      const { port } = other.address() as { port: number };
      await assert.rejects(openAcceptSource("127.0.0.1", port, mode), {
        code: "EADDRINUSE",
        message: new RegExp(`^cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE .*--listen HOST:PORT`),
      });
      other.close();
    });

    it("listens on IPv6", async () => {
      const source = await openAcceptSource("::1", 0, mode);
      const collector = new Collector();
      source.start(collector);
      const client = await dial(source);
      await waitUntil("the connection", () => collector.fds.length === 1);
      collector.closeAll();
      client.destroy();
      source.close();
    });
  });
}

describe("accept source, poll", () => {
  it("closes every descriptor of its own", async () => {
    // The first one may load things that stay open.
    (await openAcceptSource("127.0.0.1", 0, "poll")).close();
    await new Promise((resolve) => setImmediate(resolve));
    const before = readdirSync("/proc/self/fd").length;
    for (let round = 0; round < 5; round++) {
      const source = await openAcceptSource("127.0.0.1", 0, "poll");
      source.start(new Collector());
      source.close();
    }
    await waitUntil("descriptors to be closed", () => readdirSync("/proc/self/fd").length === before);
  });

  it("delivers at its end what the kernel had accepted and nobody had taken", async () => {
    const source = await openAcceptSource("127.0.0.1", 0, "poll");
    const collector = new Collector();
    source.start(collector);
    // Connected, but the loop has not turned since: the connections wait in the kernel's queue.
    const sockets = await queued(source.port, 50);
    source.close();
    assert.equal(collector.fds.length, 50);
    collector.closeAll();
    for (const fd of sockets) closeDescriptor(fd);
  });

  it("refuses and reports what comes when there is no descriptor left, and takes again when there is", async () => {
    const source = await openAcceptSource("127.0.0.1", 0, "poll");
    const collector = new Collector();
    source.start(collector);
    const refused = await queued(source.port, 5);
    const limits = Buffer.alloc(16);
    getrlimit(RLIMIT_NOFILE, limits);
    const lowered = Buffer.from(limits);
    lowered.writeBigUInt64LE(BigInt(lowestFree()), 0);
    setrlimit(RLIMIT_NOFILE, lowered);
    try {
      await waitUntil("five refusals", () => collector.errors.length === 5);
    } finally {
      setrlimit(RLIMIT_NOFILE, limits);
    }
    assert.deepEqual(
      collector.errors,
      Array.from({ length: 5 }, () => EMFILE),
    );
    assert.deepEqual(collector.fds, []);
    const taken = await queued(source.port, 1);
    await waitUntil("the next connection", () => collector.fds.length === 1);
    collector.closeAll();
    for (const fd of [...refused, ...taken]) closeDescriptor(fd);
    source.close();
  });

  it("lets no handshake begin once it was told to refuse", async () => {
    const source = await openAcceptSource("127.0.0.1", 0, "poll");
    const collector = new Collector();
    source.start(collector);
    const early = await queued(source.port, 1);
    source.refuseNew();
    const late = await queued(source.port, 1, EINPROGRESS);
    source.close();
    assert.equal(collector.fds.length, 1);
    collector.closeAll();
    for (const fd of [...early, ...late]) closeDescriptor(fd);
  });
});

const getrlimit = libc.func("int getrlimit(int, void *)");
const setrlimit = libc.func("int setrlimit(int, void *)");
const RLIMIT_NOFILE = 7;

/** The number that the next descriptor gets. */
function lowestFree(): number {
  const fd = openSync("/dev/null", "r");
  closeSync(fd);
  return fd;
}

const EINPROGRESS = 115;
const SOCK_STREAM_NONBLOCK = 1 | 0o4000;
const AF_INET = 2;

/** Connects without the loop's help, synchronously: on loopback the handshake is done when `connect` returns. */
async function queued(port: number, count: number, errno = EINPROGRESS): Promise<number[]> {
  const socket = libc.func("int socket(int, int, int)");
  const connectCall = libc.func("int connect(int, void *, uint32_t)");
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return Array.from({ length: count }, () => {
    const fd = socket(AF_INET, SOCK_STREAM_NONBLOCK, 0);
    assert.equal(connectCall(fd, address, address.length), -1);
    assert.equal(koffi.errno(), errno);
    return fd;
  });
}
