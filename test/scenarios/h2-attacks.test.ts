// Hostile HTTP/2 clients, by name: each is told and thrown out, upstream work stays bounded, memory flat, and a good client on another
// connection notices nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { ATTACKS } from "../h2/attacks.ts";
import { H2Client } from "../support/h2-client.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

/** Seconds of each attack here; WEFT_TEST_ATTACK_SECONDS=10 is what the limits were made for. */
const SECONDS = Number(process.env["WEFT_TEST_ATTACK_SECONDS"] ?? 1);
/** Private memory that an attack may cost. */
const GROWTH_KB_MAX = 32 * 1024;

/** Attackers at the same time, and streams that each may have open. */
const ATTACKERS = 4;
const STREAMS = 100;

/** Streams or frames of all attackers together, from which on each of them is over any limit. */
const STRUCK_MIN = 2_000;

/** Attacks that break no rule: they only hold what they may hold, until a deadline. */
const ONLY_HOLDS = new Set(["zero window", "one-byte windows", "header memory", "stream-id exhaustion", "nameless field flood"]);

function privateKb(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

describe("HTTP/2 attacks", () => {
  let origin: H2cOrigin;
  let proxy: ProxyProcess;
  let open = 0;
  let openMax = 0;
  before(async () => {
    const big = Buffer.alloc(1024 * 1024, "b");
    const bodies = new Map([
      ["/big", big],
      ["/middle", big.subarray(0, 200 * 1024)],
    ]);
    origin = await H2cOrigin.start("h2", (stream, headers) => {
      open++;
      openMax = Math.max(openMax, open);
      stream.once("close", () => open--);
      stream.resume();
      if (headers[":path"] === "/slow") return;
      stream.respond({ ":status": 200 });
      stream.end(bodies.get(String(headers[":path"])) ?? "x");
    });
    proxy = await ProxyProcess.start({ services: { web: { endpoints: [origin.address] } } });
    // What a good load of the same width costs is not an attack's growth.
    const clients = Array.from({ length: ATTACKERS }, () => new H2Client(proxy.port));
    for (let i = 0; i < 3; i++) {
      await Promise.all(clients.flatMap((client) => Array.from({ length: STREAMS }, () => client.get("/middle"))));
    }
    for (const client of clients) client.close();
  });
  after(async () => {
    await stopProxy(proxy);
    await origin.stop();
  });

  for (const [name, attack] of Object.entries(ATTACKS)) {
    it(name, async (t) => {
      await waitUntil("what earlier attackers asked for to be cancelled at the origin", () => open === 0);
      const kbBefore = privateKb(proxy.pid);
      openMax = 0;
      let isOver = false;
      let failed = 0;
      let good = 0;
      const client = new H2Client(proxy.port);
      const load = (async () => {
        while (!isOver) {
          const answer = await client.get("/").catch(() => null);
          good++;
          if (answer?.status !== 200) failed++;
        }
      })();
      const report = await attack(proxy.port, SECONDS, { path: "/slow", bigPath: "/big", connections: ATTACKERS });
      isOver = true;
      await load;
      client.close();
      const grown = privateKb(proxy.pid) - kbBefore;
      t.diagnostic(`private memory ${grown} KB, ${good} good answers, ${openMax} requests at the origin at once`);
      assert.equal(failed, 0, `${failed} of ${good} good requests failed`);
      assert.ok(good > 0);
      assert.ok(grown < GROWTH_KB_MAX, `private memory grew by ${grown} KB`);
      assert.ok(openMax <= ATTACKERS * STREAMS + ATTACKERS, `${openMax} requests at the origin at once`);
      if (ONLY_HOLDS.has(name)) return;
      if (report.sent > STRUCK_MIN || report.closedByTarget > 0) {
        assert.ok(report.closedByTarget > 0, `nobody was thrown out: ${JSON.stringify(report)}`);
        assert.ok(name.endsWith("reads no answer") || Object.keys(report.goaways).length > 0, `nobody was told: ${JSON.stringify(report)}`);
      } else {
        // A busy machine: the attackers did not get as far as the limit, but each stream was told.
        assert.ok(Object.keys(report.resets).length > 0, `nobody was told: ${JSON.stringify(report)}`);
      }
    });
  }
});
