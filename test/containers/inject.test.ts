// What `weft inject` and `weft install` print, in the hands of docker-compose and the engine: every example file is accepted; one runs, and its services meet by
// mutual TLS without knowing it; taken back, it runs without Weft.

import assert from "node:assert/strict";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Metrics } from "../support/metrics.ts";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";
import { COMPOSE, engine, inspect, ok, ROOT, run, startedAtMs } from "./support/engine.ts";
import { captured, Project } from "./support/project.ts";

const FIXTURES = join(ROOT, "test/fixtures/compose");
const WEFT = join(ROOT, "bin/weft.mjs");
const FILES = ["shop.yml", "blog-v2.yml", "pipeline.yml", "extends.yml", "flow.yml", "services.json", "notes.yml"];
const PATIENCE_MS = 60_000;
const REQUESTS = 30;
/** What Docker's engine gives containers when it stops itself, 10 s: who drains for longer is killed, and comes back all the same. */
const ENGINE_STOP_S = "10";
const SECRET = "nobody-but-the-two-may-read-this";

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-inject-"));
  chmodSync(folder, 0o755);
  cpSync(FIXTURES, folder, { recursive: true });
  // docker-compose looks whether what it would build is there.
  mkdirSync(join(folder, "catalog"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs weft in the folder; `-o FILE` and what it says are the results. */
function weft(...args: string[]): Promise<string> {
  return ok("sh", ["-c", 'cd "$1" && shift && exec "$@"', "sh", folder, process.execPath, WEFT, ...args]);
}

describe("docker-compose config", () => {
  before(() => weft("install", "-o", "weft.yaml"));

  for (const file of FILES) {
    it(`accepts ${file} with sidecars`, async () => {
      await weft("inject", file, "-o", `meshed-${file}`);
      const env = { DB_ROOT_PASSWORD: "secret", PIPELINE_UID: "50000" };
      const files = ["weft.yaml", `meshed-${file}`].flatMap((name) => ["--file", join(folder, name)]);
      const text = await ok(COMPOSE, [...files, "config"], { env });
      assert.match(text, /network_mode: service:\S+-net/);
      const alone = await run(COMPOSE, ["--file", join(folder, file), "config", "--quiet"], { env });
      assert.equal(alone.code, 0, alone.stderr);
    });
  }
});

describe("an injected project", () => {
  let meshed: Project;
  let front: string;
  let env: Record<string, string>;

  before(async () => {
    const [port] = await freePorts(1);
    front = `http://127.0.0.1:${port}`;
    env = { FRONT_PORT: String(port) };
    await weft("install", "-o", "weft.yaml");
    await weft("inject", "notes.yml", "-o", "meshed.yml");
    meshed = new Project("weftnotes", [join(folder, "weft.yaml"), join(folder, "meshed.yml")], env);
    await meshed.up();
  });
  after(() => meshed.remove());

  async function answer(path: string): Promise<string> {
    return await waitUntil(
      `an answer to ${path}`,
      async () => {
        const response = await fetch(`${front}${path}`).catch(() => null);
        const text = (await response?.text().catch(() => "")) ?? "";
        return response?.status === 200 ? text : undefined;
      },
      PATIENCE_MS,
    );
  }

  async function metricsOf(service: string): Promise<Metrics> {
    const address = (await inspect(meshed.container(`${service}-net`), "range .NetworkSettings.Networks}}{{.IPAddress}} {{end"))
      .trim()
      .split(" ")[0];
    return new Metrics(await (await fetch(`http://${address}:4191/metrics`)).text());
  }

  it("answers as before at its published port, and a service knows by certificate who asks", async () => {
    assert.deepEqual(JSON.parse(await answer("/hello")), {
      url: "/hello",
      client: "front.default.serviceaccount.identity.weft.cluster.local",
    });
  });

  it("carries bytes of a protocol of its own, whose server speaks first, by the mesh", async () => {
    assert.equal(await answer("/store"), "HELLO PONG");
    const labels = {
      direction: "inbound",
      peer: "src",
      tls: "true",
      client_id: "front.default.serviceaccount.identity.weft.cluster.local",
    };
    assert.ok((await metricsOf("store")).sum("tcp_open_total", labels) >= 1);
  });

  it("shows nothing on the wire between the two", async () => {
    let inner = "";
    // One is the application's network, the other Weft's own.
    const outer = await captured(meshed.container("api-net"), "eth0", async () => {
      inner = await captured(meshed.container("api-net"), "eth1", async () => {
        for (let i = 0; i < REQUESTS; i++) assert.match(await answer(`/${SECRET}`), new RegExp(SECRET));
      });
    });
    const seen = outer + inner;
    assert.ok(seen.length > REQUESTS * SECRET.length, `only ${seen.length} bytes were seen`);
    assert.doesNotMatch(seen, new RegExp(`${SECRET}|HTTP/1\\.1`));
  });

  it("lets the sidecar of a job end with it, and the holder", async () => {
    for (const part of ["seed", "seed-proxy", "seed-net"]) {
      const state = await waitUntil(
        `the end of ${part}`,
        async () => {
          const text = await inspect(meshed.container(part), ".State.Status}} {{.State.ExitCode");
          return text.startsWith("exited") ? text : undefined;
        },
        PATIENCE_MS,
      );
      assert.equal(state, "exited 0");
    }
    assert.match(await engine("logs", meshed.container("seed")), /"client":"seed\.default\.serviceaccount/);
  });

  it("refuses who is not of the mesh, where a label asks for that", async () => {
    const ask = "fetch('http://api:8080/').then((r) => console.log(r.status), (e) => console.log(e.cause?.code ?? e.message))";
    assert.equal(await ok("podman", ["exec", meshed.container("stranger"), "node", "-e", ask]), "403");
  });

  it("comes back behind its sidecars when the engine starts what it started before, and no init container", async () => {
    const names = (
      await engine("ps", "--all", "--filter", `label=com.docker.compose.project=${meshed.name}`, "--format", "{{.Names}}")
    ).split("\n");
    const policies = await Promise.all(names.map((name) => inspect(name, ".HostConfig.RestartPolicy.Name")));
    const staying = names.filter((_, at) => policies[at] === "unless-stopped");
    assert.ok(staying.includes(meshed.container("api")) && !staying.includes(meshed.container("api-init")), staying.join(" "));
    await engine("stop", "--time", ENGINE_STOP_S, ...staying);
    const netBefore = await startedAtMs(meshed.container("api-net"));
    // Applications first: nobody keeps an engine to the order of depends_on.
    for (const name of staying.sort((a, b) => Number(/-(net|proxy)[-_]1$/.test(a)) - Number(/-(net|proxy)[-_]1$/.test(b))))
      await engine("start", name);
    assert.ok((await startedAtMs(meshed.container("api-net"))) > netBefore);
    const client = "front.default.serviceaccount.identity.weft.cluster.local";
    // A holder needs a moment for its rules, and who asks meanwhile passes them by.
    await waitUntil("the mesh", async () => (await answer("/hello")).includes(client), PATIENCE_MS);
    for (let i = 0; i < REQUESTS; i++) assert.deepEqual(JSON.parse(await answer("/hello")), { url: "/hello", client });
    const ask = "fetch('http://api:8080/').then((r) => console.log(r.status), (e) => console.log(e.cause?.code ?? e.message))";
    assert.equal(await ok("podman", ["exec", meshed.container("stranger"), "node", "-e", ask]), "403");
  });

  it("keeps names: the alias of a network, and the host name, which is the holder's now", async () => {
    const ask = "fetch('http://backend:8080/').then((r) => console.log(r.status))";
    assert.equal(await ok("podman", ["exec", meshed.container("front"), "node", "-e", ask]), "200");
    assert.equal(await inspect(meshed.container("api-net"), ".Config.Hostname"), "api-host");
  });

  it("is, taken back, the file that it was, and runs without Weft", async () => {
    await meshed.remove();
    await weft("uninject", "meshed.yml", "-o", "back.yml");
    assert.equal(readFileSync(join(folder, "back.yml"), "utf8"), readFileSync(join(FIXTURES, "notes.yml"), "utf8"));
    const plain = new Project("weftplain", [join(folder, "back.yml")], env);
    try {
      await plain.up();
      assert.deepEqual(JSON.parse(await answer("/hello")), { url: "/hello", client: null });
    } finally {
      await plain.remove();
    }
  });
});
