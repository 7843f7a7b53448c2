// The transport on TLS, without the rest of the proxy: writes in line, callbacks that throw, closes at every moment.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type Server } from "node:net";
import { after, before, describe, it } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import type { Lease } from "../../src/core/http/exchange.ts";
import { duplicate } from "../../src/workers/system-calls.ts";
import { TlsContext } from "../../src/workers/tls-context.ts";
import { NOBODY, type Transport, type TransportOwner } from "../../src/workers/transport.ts";
import { adoptConnection } from "../../src/workers/transport-open.ts";
import { WorkerLoop } from "../../src/workers/worker-loop.ts";
import { Authority } from "../support/certificates.ts";
import { tlsConnect } from "../support/tls-client.ts";
import { waitUntil } from "../support/wait.ts";

const authority = new Authority();
const ca = authority.cert;

/** How often it is held. */
class CountedLease implements Lease {
  held = 0;

  retain(): void {
    this.held++;
  }

  release(): void {
    this.held--;
  }
}

describe("a transport on TLS", () => {
  const bugs: unknown[] = [];
  const closes: number[] = [];
  const loop = new WorkerLoop(DEFAULT_LIMITS, {
    slots: new Float64Array(8),
    bodySlot: 0,
    copiedSlot: 1,
    recordDelay() {},
    onBug: (error) => bugs.push(error),
  });
  const context = TlsContext.forListener(authority.issue(), { scope: "test", alpn: [], ticketKeys: null });
  let onBytes: (transport: Transport, bytes: Buffer) => void = () => undefined;
  let server: Server;
  let port = 0;

  before(async () => {
    server = createServer({ pauseOnConnect: true }, (socket) => {
      const fd = duplicate((socket as unknown as { _handle: { fd: number } })._handle.fd);
      socket.destroy();
      loop.run(() => handshake(adoptConnection(loop, fd, NOBODY)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as { port: number }).port;
  });
  after(async () => {
    loop.run(() => loop.closeAll());
    await new Promise((resolve) => server.close(resolve));
    await waitUntil("every buffer to be back", () => loop.readBuffers.inUse + loop.outChunks.inUse === 0);
  });

  function handshake(transport: Transport): void {
    const sink = {
      onSecure: () =>
        loop.run(() => {
          transport.owner = { ...NOBODY, onBytes: served(transport), onClosed: (errno) => closes.push(errno) };
          transport.endHandshake();
        }),
      onFailed: () => loop.run(() => transport.close(false)),
    };
    transport.owner = {
      ...NOBODY,
      onBytes: (buffer, start, end) =>
        transport.beginHandshake((tcp) => context.accept(tcp, Buffer.from(buffer.subarray(start, end)), sink)),
    };
  }

  function served(transport: Transport): TransportOwner["onBytes"] {
    return (buffer, start, end) => onBytes(transport, buffer.subarray(start, end));
  }

  it("survives an owner that throws: that connection ends, the next one works", async () => {
    onBytes = () => {
      throw new Error("a bug");
    };
    const { wire, raw } = await tlsConnect(port, { ca });
    await wire.send("x");
    await wire.expectClosed();
    raw.destroy();
    assert.equal(bugs.length, 1);
    onBytes = (transport) => {
      transport.write(Buffer.from("answer"), 0, 6, null);
      transport.flush();
    };
    const next = await tlsConnect(port, { ca });
    await next.wire.send("x");
    assert.equal((await next.wire.expectBytes(6)).toString(), "answer");
    next.wire.destroy();
  });

  it("keeps the order of thousands of writes in one turn, small and leased ones, and gives every lease back", async () => {
    const lease = new CountedLease();
    const large = Buffer.alloc(20_000, "L");
    onBytes = (transport) => {
      for (let i = 0; i < 2_000; i++) {
        const small = Buffer.from(`${i};`);
        transport.write(small, 0, small.length, null);
        if (i % 3 === 0) transport.flush();
        if (i % 100 === 0) transport.write(large, 0, large.length, lease);
      }
      transport.flush();
    };
    let expected = "";
    for (let i = 0; i < 2_000; i++) expected += `${i};${i % 100 === 0 ? large.toString() : ""}`;
    const { wire } = await tlsConnect(port, { ca });
    await wire.send("x");
    assert.equal((await wire.expectBytes(expected.length)).toString(), expected);
    await waitUntil("the leases", () => lease.held === 0);
    wire.destroy();
  });

  it("delivers what was flushed before a close, then says close_notify", async () => {
    onBytes = (transport) => {
      for (const piece of ["one ", "two ", "three"]) {
        transport.write(Buffer.from(piece), 0, piece.length, null);
        transport.flush();
      }
      transport.close(false);
    };
    const { wire, raw } = await tlsConnect(port, { ca });
    await wire.send("x");
    assert.equal((await wire.expectBytes(13)).toString(), "one two three");
    await wire.expectEnd();
    raw.destroy();
  });

  it("may be closed at the first of many records", async () => {
    for (const isAbort of [false, true]) {
      const before = closes.length;
      onBytes = (transport) => transport.close(isAbort);
      const { wire, raw } = await tlsConnect(port, { ca });
      await wire.send(Buffer.alloc(400_000, 1));
      await wire.expectClosed();
      raw.destroy();
      assert.equal(closes.length, before + 1);
    }
  });

  it("gives everything back when it is reset under a client that does not read", async () => {
    const lease = new CountedLease();
    const large = Buffer.alloc(256 * 1024);
    let opened: Transport | null = null;
    onBytes = (transport) => {
      opened = transport;
      for (let i = 0; i < 40; i++) transport.write(large, 0, large.length, lease);
    };
    const { wire, raw } = await tlsConnect(port, { ca });
    wire.pause();
    await wire.send("x");
    await waitUntil("a full kernel", () => opened !== null && opened.queueSize > 0);
    assert.ok(lease.held > 0);
    loop.run(() => opened?.close(true));
    await waitUntil("the leases", () => lease.held === 0);
    raw.destroy();
    wire.destroy();
  });
});
