// docker-compose.yml, as a user starts it: traffic of three kinds through sidecars of applications that know nothing of them, nothing readable
// on the wire, restarts of every part under load, a stop that loses no request, and nothing left behind.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { Metrics } from "../support/metrics.ts";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";
import { engine, inspect, ROOT, run, startedAtMs } from "./support/engine.ts";
import { Load, told } from "./support/load.ts";
import { captured, Project } from "./support/project.ts";

const APPLICATIONS = ["frontend", "web-1", "web-2", "web-3", "cache"];
const FRONTEND_IDENTITY = "frontend.default.serviceaccount.identity.weft.cluster.local";
const PATIENCE_MS = 60_000;
const REPLICAS = 3;
const BURST = 30;
/** Three bursts, and a third of them for each replica. */
const CAPTURED_BYTES_MIN = 2_000;
/** RFC 8446, 5.1: type, version. */
const TLS_APPLICATION_DATA = /\x17\x03\x03/;
const LOAD_RPS = 50;
/**
 * The promise. Where there are replicas, it counts from the command on: nothing fails while one of them is away. A service with a single copy is away
 * for as long as its process is, so there it counts from the moment at which the application runs again, or the sidecar says that it is ready.
 */
const HEALED_MS_MAX = 2_000;
/** What the load goes on for when something was restarted: long enough to see a second failure. */
const WATCH_MS = 4_000;
const SLOW_MS = 3_000;

interface Web {
  readonly version: string;
  readonly replica: string;
  readonly protocol: string;
  readonly client: string | null;
}

interface Page {
  readonly offer: Web;
  readonly stock: Web;
  readonly visits: number;
}

describe("docker-compose.yml", () => {
  let project: Project;
  let shop: string;

  before(async () => {
    const [port, hostProxy, prometheus] = await freePorts(3);
    shop = `http://127.0.0.1:${port}`;
    const env = { SHOP_PORT: String(port), HOST_PROXY_PORT: String(hostProxy), PROMETHEUS_PORT: String(prometheus) };
    project = new Project("weftshop", ["docker-compose.yml"], env);
    await project.up();
  });
  after(() => project.remove());

  async function page(path: string): Promise<Partial<Page>> {
    const response = await fetch(`${shop}${path}`);
    const text = await response.text();
    assert.equal(response.status, 200, `${path}: ${text}`);
    return JSON.parse(text) as Partial<Page>;
  }

  async function settled(): Promise<void> {
    await waitUntil("the shop to answer", async () => (await fetch(`${shop}/`).catch(() => null))?.status === 200, PATIENCE_MS);
  }

  /** Many at once: the balancer sees what is under way, and spreads it. */
  async function burst(): Promise<Page[]> {
    return (await Promise.all(Array.from({ length: BURST }, () => page("/")))) as Page[];
  }

  /** Until each replica has been asked in both protocols; the versions that answered. */
  async function allAsked(): Promise<Set<string>> {
    const versions = new Set<string>();
    const [byOffer, byStock] = [new Set<string>(), new Set<string>()];
    await waitUntil(
      "each replica to be asked",
      async () => {
        for (const { offer, stock } of await burst()) {
          versions.add(offer.version);
          byOffer.add(offer.replica);
          byStock.add(stock.replica);
        }
        return byOffer.size === REPLICAS && byStock.size === REPLICAS;
      },
      PATIENCE_MS,
    );
    return versions;
  }

  async function metricsOf(service: string): Promise<Metrics> {
    const response = await fetch(`http://${await project.address(`${service}-net`)}:4191/metrics`);
    return new Metrics(await response.text());
  }

  it("serves HTTP/1.1, HTTP/2 and Redis through the sidecars, balanced over the replicas, and each knows who asks", async () => {
    await settled();
    const pages = await burst();
    for (const { offer, stock } of pages) {
      assert.equal(offer.protocol, "HTTP/1.1");
      assert.equal(stock.protocol, "HTTP/2.0");
      // What the caller's sidecar proved by its certificate, told by the sidecar of web.
      assert.equal(offer.client, FRONTEND_IDENTITY);
      assert.equal(stock.client, FRONTEND_IDENTITY);
    }
    const visits = pages.map((one) => one.visits).sort((a, b) => a - b);
    assert.deepEqual(
      visits,
      visits.map((_, at) => visits[0]! + at),
    );
    const versions = await allAsked();
    assert.deepEqual([...versions].sort(), ["v1", "v2"]);
  });

  it("needs nothing from the applications: no word of Weft in them, no variable, no right", async () => {
    for (const file of ["web.mjs", "frontend.mjs"]) {
      const source = readFileSync(join(ROOT, "examples/shop", file), "utf8").replace("l5d-client-id", "");
      assert.doesNotMatch(source, /weft|4140|4143|proxy|l5d/i, file);
    }
    for (const service of APPLICATIONS) {
      assert.doesNotMatch(await inspect(project.container(service), "json .Config.Env"), /weft|4140|4143|_proxy/i, service);
      const pid = await inspect(project.container(service), ".State.Pid");
      const own = readFileSync(`/proc/${pid}/status`, "utf8");
      assert.doesNotMatch(own, /^Uid:\s+(0|2102)\s/m, `${service} runs as a user whose connections are redirected`);
    }
  });

  it("sends nothing readable between sidecars", async () => {
    await settled();
    const address = await project.address("web-1-net");
    const meshed = async (): Promise<void> => {
      await allAsked();
      await burst();
      await burst();
    };
    const [web, cache] = [
      await captured(project.container("web-1-net"), "eth0", meshed),
      await captured(project.container("cache-net"), "eth0", meshed),
    ];
    for (const bytes of [web, cache]) {
      assert.ok(bytes.length > CAPTURED_BYTES_MIN, `only ${bytes.length} bytes were seen`);
      assert.match(bytes, TLS_APPLICATION_DATA);
      assert.doesNotMatch(bytes, /in plain text|visits-in-plain-text|HTTP\/1\.1|INCR/);
    }
    // The canary: who comes past the mesh is seen by the same capture, word for word.
    const plain = await captured(project.container("web-1-net"), "eth0", async () => {
      assert.equal((await fetch(`http://${address}:8080/offer`)).status, 200);
    });
    assert.match(plain, /GET \/offer HTTP\/1\.1/);
    assert.match(plain, /a teapot, in plain text/);
    const metrics = await metricsOf("web-1");
    assert.ok(metrics.sum("tcp_open_total", { direction: "inbound", peer: "src", tls: "true" }) > 0);
  });

  it("is a proxy for the host, by profile", async () => {
    await project.up(["host"], "host-proxy");
    const address = await project.address("host-proxy");
    const ask = ["--silent", "--fail", "--max-time", "10", "--header", "Host: web", `http://${address}:4140/offer`];
    const answer = await waitUntil(
      "the host's proxy",
      async () => {
        const { code, stdout } = await run("curl", ask);
        return code === 0 ? stdout : null;
      },
      PATIENCE_MS,
    );
    assert.equal((JSON.parse(answer) as Web).client, "host.default.serviceaccount.identity.weft.cluster.local");
  });

  it("is watched by Prometheus, by profile", async () => {
    await project.up(["metrics"], "prometheus");
    const address = await project.address("prometheus");
    const query = encodeURIComponent('sum(up{job="weft"})');
    const targets = await waitUntil(
      "five sidecars to be scraped",
      async () => {
        const response = await fetch(`http://${address}:9090/api/v1/query?query=${query}`).catch(() => null);
        const value = ((await response?.json()) as { data?: { result?: { value: [number, string] }[] } } | undefined)?.data?.result?.[0]
          ?.value[1];
        return value === String(APPLICATIONS.length) ? value : null;
      },
      PATIENCE_MS,
    );
    assert.equal(targets, String(APPLICATIONS.length));
  });

  /** When a sidecar that started at a moment said that it is ready. */
  async function readyAtMs(service: string, startedMs: number): Promise<number> {
    const look = async (): Promise<number | undefined> => {
      const lines = (await project.logs(service)).split("\n").filter((line) => line.includes('"msg":"ready"'));
      return lines.map((line) => Date.parse((JSON.parse(line) as { time: string }).time)).find((at) => at >= startedMs);
    };
    return await waitUntil(`${service} to be ready`, look, PATIENCE_MS);
  }

  /** Restarts a container under load and tells what it cost. `hasReplicas`: others do the same, so that nothing may fail. */
  async function restarted(
    context: TestContext,
    { service, path, hasReplicas }: { service: string; path: string; hasReplicas: boolean },
    restart: () => Promise<unknown>,
  ): Promise<void> {
    await settled();
    // All of them are in use, so that the one which goes has requests.
    await allAsked();
    const load = new Load(`${shop}${path}`, LOAD_RPS);
    await waitUntil("the load to be served", () => load.answered.length >= LOAD_RPS, PATIENCE_MS);
    const beganMs = Date.now();
    await restart();
    const startedMs = await startedAtMs(project.container(service));
    assert.ok(startedMs >= beganMs - 1, `${service} was not restarted`);
    const runsMs = service.endsWith("-proxy") ? await readyAtMs(service, startedMs) : startedMs;
    await waitUntil("the load to go on", () => Date.now() > runsMs + WATCH_MS && load.answersFrom(runsMs) > LOAD_RPS, PATIENCE_MS);
    await load.stop();
    const { failures } = load;
    const lastMs = Math.max(beganMs, ...failures.map(({ sentMs }) => sentMs));
    const healedMs = Math.max(0, lastMs - runsMs);
    const outcome = [
      `${failures.length} of ${failures.length + load.answered.length} requests failed (${told(failures)})`,
      `the last of them ${lastMs - beganMs} ms after the command and ${healedMs} ms after it ran again`,
      await partsOf(service, beganMs, runsMs),
    ].join("; ");
    context.diagnostic(`${service}: ${outcome}`);
    if (hasReplicas) assert.equal(failures.length, 0, outcome);
    else assert.ok(healedMs < HEALED_MS_MAX, outcome);
    // The one that was away is asked again, as all the others are.
    await allAsked();
  }

  /** Of a restart, in milliseconds after the command: for whoever reads what it cost. */
  async function partsOf(service: string, beganMs: number, runsMs: number): Promise<string> {
    const startedMs = await startedAtMs(project.container(service));
    const parts = [`started ${startedMs - beganMs}`];
    if (service.endsWith("-proxy")) {
      for (const line of (await project.logs(service)).split("\n")) {
        if (!/"msg":"(stopping|drained[^"]*)"/.test(line)) continue;
        const { time, msg } = JSON.parse(line) as { time: string; msg: string };
        if (Date.parse(time) >= beganMs) parts.push(`${msg.split(":")[0]} ${Date.parse(time) - beganMs}`);
      }
      parts.push(`ready ${runsMs - beganMs}`);
    }
    return `ms after the command: ${parts.join(", ")}`;
  }

  for (const [service, path] of [
    ["web-1-proxy", "/slow?ms=100"],
    ["web-1-proxy", "/stock"],
    ["web-1", "/slow?ms=100"],
    ["web-1", "/stock"],
  ] as const) {
    it(`loses no request when ${service}, one of three replicas, is restarted under a load of ${path}`, async (context) => {
      const restart = (): Promise<unknown> => project.compose("restart", "--timeout", "30", service);
      await restarted(context, { service, path, hasReplicas: true }, restart);
    });
  }

  for (const [service, path] of [
    ["frontend-proxy", "/offer"],
    ["frontend", "/offer"],
    ["cache-proxy", "/visits"],
    ["cache", "/visits"],
  ] as const) {
    it(`heals within two seconds when ${service}, which has no replica, runs again, under a load of ${path}`, async (context) => {
      const restart = (): Promise<unknown> => project.compose("restart", "--timeout", "30", service);
      await restarted(context, { service, path, hasReplicas: false }, restart);
    });
  }

  it("loses nothing when the redirect is written once more", async (context) => {
    const restart = (): Promise<unknown> => project.compose("start", "web-1-init");
    await restarted(context, { service: "web-1-init", path: "/slow?ms=100", hasReplicas: true }, restart);
  });

  it("answers every request that it has taken when it is told to stop", async (context) => {
    await settled();
    const slow = Array.from({ length: 40 }, () =>
      fetch(`${shop}/slow?ms=${SLOW_MS}`).then(async (response) => [response.status, await response.text()] as const),
    );
    // They are with the applications now, and will be for three seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const stopped = project.compose("stop", "--timeout", "40");
    const answers = await Promise.all(slow);
    await stopped;
    context.diagnostic(`${answers.length} requests of ${SLOW_MS} ms each were under way`);
    assert.deepEqual(
      answers.filter(([status]) => status !== 200),
      [],
    );
    for (const service of [...APPLICATIONS, ...APPLICATIONS.map((name) => `${name}-proxy`), ...APPLICATIONS.map((name) => `${name}-net`)]) {
      assert.equal(await inspect(project.container(service), ".State.ExitCode"), "0", service);
    }
  });

  it("leaves nothing behind when it is taken down", async () => {
    await project.compose("start");
    await settled();
    assert.ok((await project.remains()).length > 20);
    const { code, stderr } = await project.down();
    assert.deepEqual(await project.remains(), [], stderr);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(await engine("ps", "--all", "--format", "{{.Names}}"), new RegExp(project.name));
  });
});
