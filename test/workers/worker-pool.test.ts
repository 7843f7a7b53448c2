import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import type { ListenerSnapshot, WorkerUpdate } from "../../src/config/snapshot.ts";
import type { SeriesDescriptor } from "../../src/core/telemetry/recorder.ts";
import { Acceptor, type Placement } from "../../src/workers/acceptor.ts";
import { WorkerPool } from "../../src/workers/worker-pool.ts";
import { DEADLINE_MS, waitUntil, within } from "../support/wait.ts";

const LISTENER: ListenerSnapshot = {
  id: "outbound",
  direction: "outbound",
  listen: { host: "127.0.0.1", port: 0 },
  protocol: "detect",
  service: null,
};
const NEVER = new Promise<void>(() => undefined);

/** An acceptor and a pool whose workers answer by themselves. */
class Bench {
  readonly pool: WorkerPool;
  readonly acceptor: Acceptor;
  readonly restarts: string[] = [];
  readonly connectFailures: string[] = [];
  readonly #lives: { slots: Float64Array; requests: SeriesDescriptor | null; isRetired: boolean }[] = [];
  #version = 1;
  port = 0;

  constructor(workers: number) {
    const pool = (): WorkerPool => this.pool;
    const placement: Placement = {
      get openConnections() {
        return pool().openConnections;
      },
      place: (fd, listener) => pool().place(fd, listener),
      flush: () => pool().flush(),
    };
    this.acceptor = new Acceptor({ placement, onRefused: () => undefined });
    this.pool = new WorkerPool(workers, {
      log: () => undefined,
      forwarderModule: new URL("../support/fake-forwarder.ts", import.meta.url).href,
      testHooks: true,
      seriesMax: 100,
      fullUpdate: () => this.updateOf(this.#version),
      listenerIds: this.acceptor.listenerIds,
      isListenerPort: (port) => port === this.port,
      onLife: (_, memory) => {
        const life = { slots: new Float64Array(memory), requests: null as SeriesDescriptor | null, isRetired: false };
        this.#lives.push(life);
        return {
          add: (descriptor) => {
            if (descriptor.metric === "request_total") life.requests = descriptor;
          },
          retire: () => {
            life.isRetired = true;
          },
        };
      },
      onServing: () => undefined,
      onRestart: (reason) => this.restarts.push(reason),
      onConnectFailed: (service, endpoint) => this.connectFailures.push(`${service} ${endpoint}`),
      askNames: () => Promise.resolve(),
    });
  }

  async start(): Promise<this> {
    const prepared = await this.acceptor.prepare([LISTENER], DEFAULT_LIMITS);
    this.port = prepared.listeners[0]!.listen.port;
    await prepared.commit();
    await this.pool.start();
    return this;
  }

  updateOf(version: number): WorkerUpdate {
    const outbound = { default: null, unknown: "refuse", allowOverride: false } as const;
    const proxy = {
      listeners: [LISTENER],
      admin: null,
      outbound,
      forwarded: false,
      allowConnect: false,
      accessLog: "off",
      limits: DEFAULT_LIMITS,
    } as const;
    return { version, proxy, services: [], removed: [] };
  }

  update(): void {
    this.pool.update(this.updateOf(++this.#version));
  }

  /** What all workers have counted, the dead included. */
  get requests(): number {
    return this.#lives.reduce((sum, { slots, requests }) => sum + (requests === null ? 0 : slots[requests.slot]!), 0);
  }

  get retired(): number {
    return this.#lives.filter((life) => life.isRetired).length;
  }

  async stop(): Promise<void> {
    await this.acceptor.close();
    await this.pool.drain(0, NEVER);
  }
}

class Client {
  readonly #socket: Socket;
  #text = "";
  isClosed = false;
  #onText: () => void = () => undefined;

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => {
      this.#text += text;
      this.#onText();
    });
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      this.isClosed = true;
      this.#onText();
    });
  }

  get connected(): Promise<void> {
    return new Promise((resolve) => this.#socket.once("connect", resolve));
  }

  /** The body of the answer; null when the connection closed instead. */
  async get(path: string, deadlineMs = DEADLINE_MS): Promise<string | null> {
    this.#text = "";
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return await within(
      `an answer to ${path}`,
      new Promise<string | null>((resolve) => {
        this.#onText = () => {
          const body = /\r\n\r\n(.*)$/s.exec(this.#text)?.[1];
          if (body !== undefined) resolve(body);
          else if (this.isClosed) resolve(null);
        };
        this.#onText();
      }),
      deadlineMs,
    );
  }

  close(): void {
    this.#socket.destroy();
  }
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

describe("worker pool", () => {
  let bench: Bench;
  const clients: Client[] = [];
  const dial = (): Client => {
    const client = new Client(bench.port);
    clients.push(client);
    return client;
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await bench.stop();
  });

  describe("two workers", () => {
    beforeEach(async () => {
      bench = await new Bench(2).start();
      await waitUntil("both workers", () => bench.pool.serving === 2);
    });

    it("places each connection with the worker that has the fewest", async () => {
      const threads = await Promise.all(Array.from({ length: 40 }, () => dial().get("/thread")));
      const counts = new Map<string, number>();
      for (const thread of threads) counts.set(thread!, (counts.get(thread!) ?? 0) + 1);
      assert.deepEqual([...counts.values()], [20, 20]);
      // All of one worker's connections go: it gets the next ones.
      const [first] = counts.keys();
      for (const [index, client] of [...clients].entries()) if (threads[index] === first) client.close();
      await waitUntil("them to be closed", () => bench.pool.openConnections === 20);
      const next = await Promise.all(Array.from({ length: 20 }, () => dial().get("/thread")));
      assert.deepEqual(new Set(next), new Set([first]));
    });

    it("knows the id of the listener that a connection came from", async () => {
      assert.equal(await dial().get("/listener"), "outbound");
    });

    it("passes updates on to every worker, in order", async () => {
      bench.update();
      bench.update();
      assert.deepEqual(await Promise.all(Array.from({ length: 4 }, () => dial().get("/version"))), ["3", "3", "3", "3"]);
    });

    it("tells of failed connects", async () => {
      await dial().get("/connect-failed");
      await waitUntil("the message", () => bench.connectFailures.length === 1);
      assert.deepEqual(bench.connectFailures, ["test/fake 127.0.0.1:1"]);
    });

    for (const action of ["throw", "exit", "exhaust-heap"] as const) {
      it(`a worker that dies by ${action} costs its own connections only, and is replaced`, async () => {
        const [a, b] = [dial(), dial()];
        await a.get("/thread");
        await b.get("/thread");
        const before = bench.requests;
        const open = descriptors();
        bench.pool.test(0, action);
        await waitUntil("the death", () => bench.restarts.length === 1, 20_000);
        // Filling the heap takes seconds; on a machine that is busy all the while the watchdog is first.
        const reasons = { throw: ["exception"], exit: ["exit"], "exhaust-heap": ["heap", "hung"] }[action];
        assert.ok(reasons.includes(bench.restarts[0]!), bench.restarts[0]);
        await waitUntil("the replacement", () => bench.pool.serving === 2);
        await waitUntil("one connection to be lost", () => a.isClosed !== b.isClosed);
        const survivor = a.isClosed ? b : a;
        assert.notEqual(await survivor.get("/thread"), null);
        await waitUntil("its counters to be kept", () => bench.retired === 1);
        assert.equal(bench.requests, before + 1);
        const threads = new Set(await Promise.all(Array.from({ length: 6 }, () => dial().get("/thread"))));
        assert.equal(threads.size, 2);
        // Two descriptors per connection here: this process is also the client.
        for (const client of clients.splice(0)) client.close();
        await waitUntil("every descriptor to be closed", () => descriptors() <= open - 2 * 2);
      });
    }

    it("a worker that is blocked is replaced after 5 s, and what it had not taken is served by others", async () => {
      const first = dial();
      await first.get("/thread");
      bench.pool.test(0, "block");
      bench.pool.test(1, "block");
      const waiting = Array.from({ length: 20 }, () => dial().get("/thread", 30_000));
      await waitUntil("two replacements", () => bench.restarts.length === 2, 30_000);
      assert.deepEqual(bench.restarts, ["hung", "hung"]);
      for (const answer of await Promise.all(waiting)) assert.notEqual(answer, null);
    });
  });

  describe("one worker", () => {
    beforeEach(async () => {
      bench = await new Bench(1).start();
    });

    it("hands 200 connections on their way to a dying worker to its replacement", async () => {
      await dial().get("/thread");
      clients.splice(0)[0]!.close();
      await waitUntil("no connection", () => bench.pool.openConnections === 0);
      const open = descriptors();
      // The order to die is first in the port, so none of the connections is ever claimed by the one that dies.
      bench.pool.test(0, "throw");
      const waiting = Array.from({ length: 200 }, () => dial());
      const answers = await Promise.all(waiting.map((client) => client.get("/thread")));
      assert.deepEqual(bench.restarts, ["exception"]);
      assert.equal(new Set(answers).size, 1);
      assert.ok(!answers.includes(null), "a client was left without an answer");
      for (const client of clients.splice(0)) client.close();
      await waitUntil("every descriptor to be closed", () => descriptors() <= open);
    });

    it("leaves no descriptor and no client hanging over many deaths under load", async () => {
      await dial().get("/thread");
      clients.splice(0)[0]!.close();
      await waitUntil("no connection", () => bench.pool.openConnections === 0);
      const open = descriptors();
      let isOver = false;
      let answered = 0;
      const load = Array.from({ length: 20 }, async () => {
        while (!isOver) {
          const client = new Client(bench.port);
          // Closed by a dying worker, or answered; `get` fails when neither happens.
          if ((await client.get("/thread")) !== null) answered++;
          client.close();
        }
      });
      for (let death = 1; death <= 5; death++) {
        const before = answered;
        await waitUntil("some answers", () => answered > before + 50);
        bench.pool.test(0, death % 2 === 0 ? "exit" : "throw");
        await waitUntil("the death", () => bench.restarts.length === death);
      }
      isOver = true;
      await Promise.all(load);
      await waitUntil("every descriptor to be closed", () => descriptors() <= open);
      assert.ok(bench.requests >= answered, "no counter decreases");
    });

    it("finishes what is in flight on a drain, and cuts nothing", async () => {
      const [slow, idle] = [dial(), dial()];
      await idle.get("/thread");
      const answer = slow.get("/slow/300");
      await waitUntil("both", () => bench.pool.openConnections === 2);
      await bench.acceptor.close();
      assert.equal(await bench.pool.drain(5_000, NEVER), 0);
      assert.notEqual(await answer, null);
    });

    it("cuts what is left after the grace period, and counts it", async () => {
      const slow = dial();
      const answer = slow.get("/slow/60000");
      await waitUntil("the connection", () => bench.pool.openConnections === 1);
      await bench.acceptor.close();
      assert.equal(await bench.pool.drain(50, NEVER), 1);
      assert.equal(await answer, null);
    });

    it("cuts at once when asked to hurry", async () => {
      const answer = dial().get("/slow/60000");
      await waitUntil("the connection", () => bench.pool.openConnections === 1);
      await bench.acceptor.close();
      assert.equal(await within("the cut", bench.pool.drain(60_000, Promise.resolve())), 1);
      assert.equal(await answer, null);
    });
  });
});
