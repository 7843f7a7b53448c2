import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, test } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import type { ListenerSnapshot } from "../../src/config/snapshot.ts";
import { Acceptor, type Placement } from "../../src/workers/acceptor.ts";
import { closeDescriptor } from "../../src/workers/system-calls.ts";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";

class Places implements Placement {
  readonly placed: { fd: number; listener: number }[] = [];
  flushes = 0;
  get openConnections(): number {
    return this.placed.length;
  }
  place(fd: number, listener: number): void {
    this.placed.push({ fd, listener });
  }
  flush(): void {
    this.flushes++;
  }
}

const sockets: Socket[] = [];
const placements: Places[] = [];
after(() => {
  for (const socket of sockets) socket.destroy();
  for (const places of placements) for (const { fd } of places.placed) closeDescriptor(fd);
});

function setUp(): { acceptor: Acceptor; places: Places; refused: string[] } {
  const places = new Places();
  placements.push(places);
  const refused: string[] = [];
  return { acceptor: new Acceptor({ placement: places, onRefused: (reason) => refused.push(reason) }), places, refused };
}

function listener(id: string, port: number): ListenerSnapshot {
  return { id, direction: "outbound", listen: { host: "127.0.0.1", port }, protocol: "detect", service: null };
}

async function apply(
  acceptor: Acceptor,
  listeners: readonly ListenerSnapshot[],
  connectionsMax = 100,
): Promise<readonly ListenerSnapshot[]> {
  const prepared = await acceptor.prepare(listeners, { ...DEFAULT_LIMITS, connectionsMax });
  await prepared.commit();
  return prepared.listeners;
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => undefined);
  // A connection that is refused may be reset before Node looks at it.
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  return socket;
}

test("a connection is placed under its listener's id", async () => {
  const { acceptor, places } = setUp();
  const bound = await apply(acceptor, [listener("outbound", 0), listener("outbound/x", 0)]);
  await dial(bound[1]!.listen.port);
  await waitUntil("the connection", () => places.placed.length === 1);
  assert.equal(acceptor.listenerIds[places.placed[0]!.listener], "outbound/x");
  assert.equal(places.flushes, 1);
  await acceptor.close();
});

test("over connectionsMax a connection is closed at once and counted, and those below are served", async () => {
  const { acceptor, places, refused } = setUp();
  const [bound] = await apply(acceptor, [listener("outbound", 0)], 2);
  const clients = await Promise.all([1, 2, 3, 4].map(() => dial(bound!.listen.port)));
  await waitUntil("two refusals", () => refused.length === 2);
  assert.deepEqual(refused, ["connections_max", "connections_max"]);
  assert.equal(places.placed.length, 2);
  await waitUntil("the clients to notice", () => clients.filter((client) => client.destroyed).length === 2);
  await acceptor.close();
});

test("a listener that cannot be opened changes nothing", async () => {
  const { acceptor, places } = setUp();
  const [bound] = await apply(acceptor, [listener("outbound", 0)]);
  const other = setUp();
  const [taken] = await apply(other.acceptor, [listener("outbound", 0)]);
  const [free] = await freePorts(1);
  await assert.rejects(acceptor.prepare([listener("a", free!), listener("b", taken!.listen.port)], DEFAULT_LIMITS), { code: "EADDRINUSE" });
  await dial(bound!.listen.port);
  await waitUntil("the connection", () => places.placed.length === 1);
  // What had been opened for the transaction is closed again.
  await (await acceptor.prepare([listener("a", free!)], DEFAULT_LIMITS)).commit();
  await acceptor.close();
  await other.acceptor.close();
});

test("an address that another listener takes over stays open all the time", async () => {
  const { acceptor, places } = setUp();
  const [port] = await freePorts(1);
  await apply(acceptor, [listener("old", port!)]);
  await dial(port!);
  await waitUntil("the first", () => places.placed.length === 1);
  await apply(acceptor, [listener("new", port!)]);
  await dial(port!);
  await waitUntil("the second", () => places.placed.length === 2);
  assert.deepEqual(
    places.placed.map((placed) => acceptor.listenerIds[placed.listener]),
    ["old", "new"],
  );
  await acceptor.close();
});

test("a listener that is removed and added again while it closes is opened again", async () => {
  const { acceptor, places } = setUp();
  const [port] = await freePorts(1);
  await apply(acceptor, [listener("a", port!)]);
  const gone = (await acceptor.prepare([], DEFAULT_LIMITS)).commit();
  await apply(acceptor, [listener("a", port!)]);
  await gone;
  await dial(port!);
  await waitUntil("the connection", () => places.placed.length === 1);
  await acceptor.close();
});

test("closing under a storm of connections resets none that was established", async () => {
  const { acceptor, places } = setUp();
  const [bound] = await apply(acceptor, [listener("outbound", 0)], 100_000);
  let established = 0;
  let isOver = false;
  const storm = Array.from({ length: 16 }, async () => {
    while (!isOver) {
      const socket = connect(bound!.listen.port, "127.0.0.1");
      sockets.push(socket);
      const outcome = await new Promise<string>((resolve) => {
        socket.once("connect", () => resolve("connect"));
        socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
        setTimeout(() => resolve("silence"), 500).unref();
      });
      if (outcome !== "connect") break;
      established++;
      socket.on("error", () => assert.fail("an established connection was reset"));
    }
  });
  await waitUntil("a few hundred", () => established > 300);
  await acceptor.close();
  isOver = true;
  await Promise.all(storm);
  assert.equal(places.placed.length, established);
});
