// Keys of session tickets: new ones from time to time; a ticket of the old ones costs a full handshake, never a failure.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer } from "node:net";
import { it } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import { duplicate } from "../../src/workers/system-calls.ts";
import { TicketKeys } from "../../src/workers/ticket-keys.ts";
import { TlsContext } from "../../src/workers/tls-context.ts";
import { NOBODY } from "../../src/workers/transport.ts";
import { adoptConnection } from "../../src/workers/transport-open.ts";
import { WorkerLoop } from "../../src/workers/worker-loop.ts";
import { Authority } from "../support/certificates.ts";
import { tlsConnect } from "../support/tls-client.ts";
import { within } from "../support/wait.ts";

it("are 48 random bytes, and others after each rotation", async () => {
  const seen: Uint8Array[] = [];
  const twice = new Promise<void>((resolve) => {
    const keys = new TicketKeys((next) => {
      seen.push(next);
      if (seen.length === 3) {
        assert.equal(keys.current, next);
        keys.close();
        resolve();
      }
    }, 5);
    seen.push(keys.current);
    // The timer keeps no process alive, this one does.
    const alive = setInterval(() => seen.length >= 3 && clearInterval(alive), 5);
  });
  await within("two rotations", twice);
  assert.ok(seen.every((keys) => keys.length === 48));
  assert.equal(new Set(seen.map((keys) => Buffer.from(keys).toString("hex"))).size, 3);
});

it("are shared by contexts, and worth nothing once they have changed", async () => {
  const authority = new Authority();
  const identity = authority.issue();
  const keys = [new Uint8Array(48).fill(1), new Uint8Array(48).fill(2)] as const;
  const make = (): TlsContext => TlsContext.forListener(identity, { scope: "one", alpn: [], ticketKeys: keys[0] });
  // Two contexts as two workers have them.
  const contexts = [make(), make()] as const;
  let turn = 0;
  const resumed: boolean[] = [];
  const slots = new Float64Array(8);
  const loop = new WorkerLoop(DEFAULT_LIMITS, { slots, bodySlot: 0, copiedSlot: 1, recordDelay() {}, onBug() {} });
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    const fd = duplicate((socket as unknown as { _handle: { fd: number } })._handle.fd);
    socket.destroy();
    const context = contexts[turn++ % 2]!;
    const transport = adoptConnection(loop, fd, {
      ...NOBODY,
      onBytes: (buffer, start, end) =>
        transport.beginHandshake((tcp) =>
          context.accept(tcp, Buffer.from(buffer.subarray(start, end)), {
            onSecure: (_stream, { isResumed }) => {
              resumed.push(isResumed);
              transport.owner = NOBODY;
              transport.endHandshake();
              // Behind the tickets, which OpenSSL writes after this.
              setImmediate(() =>
                loop.run(() => {
                  transport.write(Buffer.from("x"), 0, 1, null);
                  transport.flush();
                }),
              );
            },
            onFailed: () => transport.close(false),
          }),
        ),
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const connect = async (session?: Buffer): Promise<Buffer> => {
    const { wire } = await tlsConnect(port, { ca: authority.cert, ...(session && { session }) });
    // The tickets came before it.
    await wire.expectBytes(1);
    const ticket = wire.socket.getSession();
    wire.destroy();
    assert.ok(ticket !== undefined);
    return ticket;
  };
  try {
    const ticket = await connect();
    await connect(ticket);
    for (const context of contexts) context.setTicketKeys(keys[1]);
    await connect(ticket);
    assert.deepEqual(resumed, [false, true, false]);
  } finally {
    loop.run(() => loop.closeAll());
    await new Promise((resolve) => server.close(resolve));
  }
});
