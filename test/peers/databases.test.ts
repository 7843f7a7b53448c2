// Databases and brokers over opaque TCP, each by its own client: protocols in which the client speaks first, and one in which the
// server does. Everything runs twice: on a port that is declared opaque and on one that has to find it out.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "../support/client.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { type Service, startNats, startPostgres, startRedis } from "./support/services.ts";
import { succeed } from "./support/tools.ts";

/** MySQL's, SMTP's or NATS's greeting has to come through within this time of the connect. */
const GREETING_MS_MAX = 30;

const services: { redis?: Service; postgres?: Service; nats?: Service } = {};
let proxy: ProxyProcess;

before(async () => {
  services.redis = await startRedis();
  services.postgres = await startPostgres();
  services.nats = await startNats();
  const endpoints = (port: number): { endpoints: string[] } => ({ endpoints: [`127.0.0.1:${port}`] });
  proxy = await ProxyProcess.start({
    services: { redis: endpoints(services.redis.port), postgres: endpoints(services.postgres.port), nats: endpoints(services.nats.port) },
    listeners: Object.fromEntries(
      ["redis", "postgres", "nats"].flatMap((service) => [
        [`${service}-opaque`, { service, protocol: "opaque" }],
        [`${service}-detect`, { service, protocol: "detect" }],
      ]),
    ),
  });
});

after(async () => {
  try {
    await proxy?.stop();
  } finally {
    for (const service of Object.values(services)) await service.stop();
  }
});

for (const protocol of ["opaque", "detect"]) {
  const portOf = (service: string): string => String(proxy.listener(`${service}-${protocol}`));

  describe(`databases, protocol: ${protocol}`, () => {
    it("redis-cli sets and gets a value", async () => {
      await succeed("redis-cli", ["-p", portOf("redis"), "set", "key", "a value"]);
      assert.equal(await succeed("redis-cli", ["-p", portOf("redis"), "get", "key"]), "a value\n");
    });

    it("redis-cli gets a value of 8 MB", async () => {
      const script = "redis.call('set', KEYS[1], string.rep('x', 8388608)) return redis.call('strlen', KEYS[1])";
      assert.equal(await succeed("redis-cli", ["-p", portOf("redis"), "eval", script, "1", "large"]), "8388608\n");
      assert.equal((await succeed("redis-cli", ["-p", portOf("redis"), "get", "large"])).length, 8_388_609);
    });

    it("redis-benchmark: 20000 pipelined commands on 50 connections, no error", async () => {
      const output = await succeed("redis-benchmark", [
        "-p",
        portOf("redis"),
        "-c",
        "50",
        "-n",
        "20000",
        "-P",
        "4",
        "-t",
        "set,get",
        "--csv",
      ]);
      assert.match(output, /"SET","\d/);
      assert.match(output, /"GET","\d/);
      assert.doesNotMatch(output, /error/i);
    });

    it("psql runs queries, loads and reads a table", async () => {
      const psql = ["-h", "127.0.0.1", "-p", portOf("postgres"), "-U", "weft", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt"];
      const table = `numbers_${protocol}`;
      const load = `create table ${table} as select n, repeat('x', 100) as text from generate_series(1, 50000) as n`;
      const output = await succeed("psql", [...psql, "-c", load, "-c", `select count(*), sum(n) from ${table}`]);
      assert.equal(output, "50000|1250025000\n");
      const rows = await succeed("psql", [...psql, "-c", `select * from ${table} order by n`]);
      assert.equal(rows.split("\n").length, 50_001);
    });

    it("psql sees the server's error, not a broken connection", async () => {
      const psql = ["-h", "127.0.0.1", "-p", portOf("postgres"), "-U", "weft", "-d", "postgres", "-qAt"];
      await assert.rejects(succeed("psql", [...psql, "-v", "ON_ERROR_STOP=1", "-c", "select 1/0"]), /division by zero/);
    });

    it(`NATS greets within ${GREETING_MS_MAX} ms, median of nine connections`, async () => {
      const times: number[] = [];
      for (let i = 0; i < 9; i++) {
        const began = performance.now();
        const wire = await connect(proxy.listener(`nats-${protocol}`));
        assert.match(await wire.expectUntil("\r\n"), /^INFO \{.*"server_id"/);
        times.push(performance.now() - began);
        wire.destroy();
      }
      times.sort((a, b) => a - b);
      assert.ok(times[4]! <= GREETING_MS_MAX, `${times.map((time) => time.toFixed(1)).join(", ")} ms`);
    });

    it("a NATS message goes from a publisher to a subscriber", async () => {
      const subscriber = await connect(proxy.listener(`nats-${protocol}`));
      await subscriber.expectUntil("\r\n");
      await subscriber.send('CONNECT {"verbose":false}\r\nSUB weft.test 1\r\nPING\r\n');
      await subscriber.expectUntil("PONG\r\n");
      const publisher = await connect(proxy.listener(`nats-${protocol}`));
      await publisher.expectUntil("\r\n");
      await publisher.send('CONNECT {"verbose":false}\r\nPUB weft.test 5\r\nhello\r\nPING\r\n');
      await publisher.expectUntil("PONG\r\n");
      assert.equal(await subscriber.expectUntil("hello\r\n"), "MSG weft.test 1 5\r\nhello\r\n");
      subscriber.destroy();
      publisher.destroy();
    });
  });
}
