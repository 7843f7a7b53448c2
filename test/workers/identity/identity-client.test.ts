// The plan behind a proxy's certificate, by clocks that the test turns and an identity component that it speaks for.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { MeshIdentity } from "../../../src/config/snapshot.ts";
import type { Certified, CertifyRequest, ThreadAnswer } from "../../../src/workers/identity/certify-request.ts";
import { ClockWatch } from "../../../src/workers/identity/clock.ts";
import { IdentityClient } from "../../../src/workers/identity/identity-client.ts";
import type { FailureReason } from "../../../src/workers/identity/identity-failure.ts";
import { Authority } from "../../support/certificates.ts";
import { joinToken } from "../../support/join-token.ts";
import { waitUntil } from "../../support/wait.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const DAY_MS = 86_400_000;
const START = Date.now();
const root = new Authority("plan root");

/** Both clocks, and what waits for them. */
class TestClock {
  wall = START;
  mono = 1_000;
  readonly offsetMs = 0;
  readonly #waiting = new Map<() => void, number>();

  now(): number {
    return this.wall;
  }

  monotonic(): number {
    return this.mono;
  }

  schedule(callback: () => void, ms: number): () => void {
    this.#waiting.set(callback, this.mono + ms);
    return () => this.#waiting.delete(callback);
  }

  /** Lets both go on; what waits on the way is called at its time. */
  async pass(ms: number): Promise<void> {
    const end = this.mono + ms;
    for (;;) {
      const [next] = [...this.#waiting].sort(([, a], [, b]) => a - b);
      const to = next === undefined || next[1] > end ? end : next[1];
      this.wall += to - this.mono;
      this.mono = to;
      if (next === undefined || next[1] > end) return;
      this.#waiting.delete(next[0]);
      next[0]();
      await settled();
    }
  }
}

/** What is on its way between the client's promises arrives. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function certified(clock: TestClock, request: CertifyRequest, lifeMs: number, serial: number): Certified {
  const { cert, key } = root.issue({ names: [request.name], usages: ["server", "client"], notAfter: new Date(clock.wall + lifeMs) });
  const notAfter = clock.wall + lifeMs;
  return {
    name: request.name,
    cert,
    key,
    trust: root.cert,
    trustVersion: serial,
    trustDigest: "",
    issuedAt: clock.wall,
    validUntil: notAfter,
    notAfter,
  };
}

describe("the plan of a certificate", () => {
  let requests: CertifyRequest[];
  let told: MeshIdentity[];
  let lines: { level: string; message: string; fields: Readonly<Record<string, unknown>> | undefined }[];
  let failed: FailureReason[];
  let expiresS = 0;
  let answer: (request: CertifyRequest) => ThreadAnswer<Certified> | Promise<ThreadAnswer<Certified>>;
  let folder: string;
  let make: (inherited: Certified | null) => IdentityClient;
  let client: IdentityClient;
  let clock: TestClock;
  let door: Server;

  beforeEach(async () => {
    // Of this test alone: what a client of the one before does yet is not this one's.
    const mine = { requests: [] as typeof requests, told: [] as typeof told, lines: [] as typeof lines, failed: [] as typeof failed };
    ({ requests, told, lines, failed } = mine);
    clock = new TestClock();
    folder = mkdtempSync(join(tmpdir(), "weft-plan-"));
    writeFileSync(join(folder, "token"), joinToken({ identity: NAME }));
    answer = (request) => ({ ok: certified(clock, request, DAY_MS, requests.length) });
    // Accepts and says nothing: enough to be reached, never enough for the trust stream.
    door = createServer((socket) => socket.on("error", () => undefined));
    await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
    make = (inherited) =>
      new IdentityClient({
        source: {
          kind: "controller",
          controller: { host: "127.0.0.1", port: (door.address() as { port: number }).port },
          tokenFile: join(folder, "token"),
          keep: null,
        },
        inherited,
        environment: {},
        clock,
        random: () => 0.5,
        certify: async (request) => {
          mine.requests.push(request);
          return await answer(request);
        },
        readBundle: async () => ({ failure: { reason: "answer", message: "not asked for here" } }),
        onIdentity: (identity) => mine.told.push(identity),
        metrics: {
          expires: (atS) => (expiresS = atS),
          refreshed: () => undefined,
          failed: (reason) => mine.failed.push(reason),
          trusts: () => undefined,
        },
        log: (level, message, fields) => mine.lines.push({ level, message, fields }),
      });
    client = make(null);
  });
  afterEach(() => {
    client.close();
    door.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const logged = (message: string) => lines.filter((line) => line.message === message);

  /** Lets time pass second by second; what goes through real sockets and files is waited for in between. */
  async function passUntil(ms: number, condition: () => boolean): Promise<void> {
    for (let left = ms; left > 0 && !condition(); left -= 1_000) {
      await clock.pass(Math.min(left, 1_000));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await waitUntil("what was to come by then", condition);
  }

  async function begin(): Promise<void> {
    const started = client.start();
    await waitUntil("the first request", () => requests.length > 0);
    await started;
    await settled();
  }

  it("asks with the token first, and at 0.65 of the life with the certificate in use", async () => {
    await begin();
    assert.equal(requests[0]!.name, NAME);
    assert.equal(requests[0]!.proof.kind, "token");
    assert.equal(requests[0]!.place.name, "identity.weft.serviceaccount.identity.weft.cluster.local");
    assert.equal(told.length, 1);
    assert.equal(expiresS, (START + DAY_MS) / 1000);
    await clock.pass(DAY_MS * 0.64);
    assert.equal(requests.length, 1);
    await clock.pass(DAY_MS * 0.02);
    assert.equal(requests.length, 2);
    const { proof } = requests[1]!;
    assert.ok(proof.kind === "certificate");
    assert.equal(proof.cert, told[0]!.cert);
    assert.equal(told.length, 2);
    assert.deepEqual(failed, []);
  });

  it("asks with what it inherited, also when the clock jumps while it begins", async () => {
    await begin();
    const inherited = client.held!;
    client.close();
    client = make(inherited);
    const started = client.start();
    clock.wall += DAY_MS * 0.7;
    client.clockJumped();
    await started;
    await waitUntil("the attempt", () => requests.length >= 2);
    await settled();
    assert.deepEqual(
      requests.map(({ proof }) => proof.kind),
      ["token", "certificate"],
    );
    assert.equal(client.held?.trustVersion, 2);
  });

  it("keeps what it has while the component refuses, and goes over to the token", async () => {
    await begin();
    answer = () => ({ failure: { reason: "refused", message: "no" } });
    await clock.pass(DAY_MS * 0.66);
    await waitUntil("the attempt", () => requests.length >= 3);
    assert.deepEqual(
      requests.slice(1, 3).map(({ proof }) => proof.kind),
      ["certificate", "token"],
    );
    assert.equal(told.length, 1);
    assert.equal(logged("the certificate was not renewed")[0]!.level, "warn");
    assert.equal(failed[0], "refused");
  });

  it("does not show the token to a component that is only away", async () => {
    await begin();
    answer = () => ({ failure: { reason: "unreachable", message: "nobody" } });
    await clock.pass(DAY_MS * 0.66);
    await waitUntil("a second attempt", () => requests.length >= 3);
    assert.deepEqual(
      requests.slice(0, 3).map(({ proof }) => proof.kind),
      ["token", "certificate", "certificate"],
    );
    assert.ok(requests.slice(1).every(({ proof }) => proof.kind === "certificate"));
  });

  it("says loudly that it has ended, once, and gets the next one by token when the component is back", async () => {
    const ENDED = "the certificate has ended: other proxies refuse this one until there is a new one";
    await begin();
    answer = () => ({ failure: { reason: "unreachable", message: "nobody" } });
    await clock.pass(DAY_MS * 0.99);
    assert.equal(logged(ENDED).length, 0);
    await passUntil(DAY_MS * 0.011, () => logged(ENDED).length > 0);
    assert.equal(logged(ENDED)[0]!.level, "error");
    assert.equal(told.length, 1);
    // From here on every ten seconds.
    const then = requests.length;
    await passUntil(300_000, () => requests.length > then + 2);
    assert.equal(requests.at(-1)!.proof.kind, "token");
    answer = (request) => ({ ok: certified(clock, request, DAY_MS, 2) });
    await passUntil(60_000, () => told.length === 2);
    assert.equal(expiresS, (clock.wall + DAY_MS) / 1000);
    assert.equal(logged(ENDED).length, 1);
  });

  it("says once that the trust stream broke, however often it is tried again", async () => {
    let count = 0;
    door.on("connection", (socket) => {
      count++;
      socket.destroy();
    });
    // The shorter the life, the sooner it is tried again.
    answer = (request) => ({ ok: certified(clock, request, 10_000, requests.length) });
    await begin();
    await waitUntil("the third try", () => count >= 3 && logged("the trust stream broke").length >= 2, 60_000);
    assert.deepEqual(
      logged("the trust stream broke").map(({ level }, i) => [i, level]),
      logged("the trust stream broke").map((_, i) => [i, i === 0 ? "info" : "debug"]),
    );
    assert.equal(logged("the trust stream is back").length, 0);
  });

  it("a jump of the clock by a day forward or back is said once, and takes nothing away", async () => {
    await begin();
    const jumps: number[] = [];
    const watch = new ClockWatch(clock, (byMs) => {
      jumps.push(byMs);
      client.clockJumped();
    });
    clock.wall -= DAY_MS;
    for (let look = 0; look < 3; look++) {
      watch.look();
      await clock.pass(5_000);
    }
    assert.deepEqual(jumps, [-DAY_MS]);
    // By this clock it is not valid before tomorrow: there is another one, and it was asked for once.
    await waitUntil("the next one", () => told.length === 2);
    assert.equal(requests.length, 2);
    assert.equal(requests[1]!.proof.kind, "certificate");
    await clock.pass(DAY_MS * 0.66);
    await waitUntil("the one after it", () => told.length === 3);
    assert.equal(requests.length, 3);
    answer = () => ({ failure: { reason: "untrusted", message: "its certificate does not verify: CERT_HAS_EXPIRED" } });
    clock.wall += 2 * DAY_MS;
    watch.look();
    await settled();
    assert.deepEqual(jumps, [-DAY_MS, 2 * DAY_MS]);
    await waitUntil("the attempt", () => requests.length >= 5);
    assert.equal(requests[3]!.proof.kind, "certificate");
    assert.equal(told.length, 3);
    clock.wall -= DAY_MS;
    watch.look();
    assert.equal(jumps.length, 3);
    assert.equal(client.held!.cert, told[2]!.cert);
    watch.close();
  });
});
