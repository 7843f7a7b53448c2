// The compose files of the examples, and the one of docs/jobs.md, in a real engine: what passes the sidecars in each way, and that a job's
// sidecar and holder end with it.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Metrics } from "../support/metrics.ts";
import { waitUntil } from "../support/wait.ts";
import { COMPOSE, engine, inspect, ok, ROOT } from "./support/engine.ts";

const PATIENCE_MS = 60_000;

/** A compose project of its own name, with host ports that are free. */
class Project {
  readonly #name: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "weft-compose-"));
  readonly #args: readonly string[];

  /** `directory`: what paths in the file are relative to. */
  constructor(label: string, directory: string, text: string) {
    this.#name = `weft-test-${process.pid}-${label}`;
    const file = join(this.#folder, "compose.yml");
    writeFileSync(file, text.replaceAll(/"127\.0\.0\.1:\d+:(\d+)"/g, '"127.0.0.1::$1"'));
    this.#args = ["--project-name", this.#name, "--project-directory", directory, "--file", file];
  }

  static example(way: string): Project {
    const directory = join(ROOT, "examples", way);
    return new Project(way, directory, readFileSync(join(directory, "compose.yml"), "utf8"));
  }

  compose(...args: readonly string[]): Promise<string> {
    return ok(COMPOSE, [...this.#args, ...args]);
  }

  async id(service: string): Promise<string> {
    return (await engine("ps", "--all", "--quiet", ...this.#filter(), "--filter", `label=com.docker.compose.service=${service}`)).trim();
  }

  /** `exited 0`, `running 0`. */
  async state(service: string): Promise<string> {
    const id = await this.id(service);
    return `${await inspect(id, ".State.Status")} ${await inspect(id, ".State.ExitCode")}`;
  }

  async ask(service: string, port: number, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const place = await this.compose("port", service, String(port));
    return await ok("curl", [
      "-sS",
      "--max-time",
      "10",
      ...Object.entries(headers).flatMap(([n, v]) => ["-H", `${n}: ${v}`]),
      `http://${place}/`,
    ]);
  }

  /** Of a proxy, from within its network namespace: nobody else may ask. */
  async metrics(service: string): Promise<Metrics> {
    const pid = await inspect(await this.id(service), ".State.Pid");
    return new Metrics(await ok("nsenter", ["-t", pid, "-n", "curl", "-sS", "http://127.0.0.1:4191/metrics"]));
  }

  async remove(): Promise<void> {
    const ids = (await engine("ps", "--all", "--quiet", ...this.#filter())).split("\n").filter((id) => id !== "");
    if (ids.length > 0) await engine("rm", "--force", "--depend", "--ignore", "--time", "1", ...ids);
    const networks = (await engine("network", "ls", "--quiet", "--filter", `name=${this.#name}_`))
      .split("\n")
      .filter((name) => name !== "");
    if (networks.length > 0) await engine("network", "rm", "--force", ...networks);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #filter(): string[] {
    return ["--filter", `label=com.docker.compose.project=${this.#name}`];
  }
}

/** Requests by direction: what a sidecar saw. */
async function seen(project: Project, service: string): Promise<{ inbound: number; outbound: number }> {
  const metrics = await project.metrics(service);
  const [inbound, outbound] = ["inbound", "outbound"].map((direction) => metrics.sum("request_total", { direction }));
  return { inbound: inbound!, outbound: outbound! };
}

describe("the examples in containers", () => {
  const projects: Project[] = [];
  const started = async (way: string): Promise<Project> => {
    const project = Project.example(way);
    projects.push(project);
    await project.compose("up", "--detach", "--no-build");
    return project;
  };
  after(async () => {
    for (const project of projects) await project.remove();
  });

  const answers = async (project: Project, service: string): Promise<void> => {
    await waitUntil("web to answer", async () => (await project.ask(service, 8080).catch(() => null)) === "web, then cart", PATIENCE_MS);
    for (let count = 0; count < 4; count++) assert.equal(await project.ask(service, 8080), "web, then cart");
  };

  it("service to proxy: what web sends passes its sidecar, what it answers does not", async () => {
    const project = await started("service-to-proxy");
    await answers(project, "web-net");
    const { inbound, outbound } = await seen(project, "web-proxy");
    assert.ok(outbound >= 5, `${outbound}`);
    assert.equal(inbound, 0);
  });

  it("proxy to service: what cart answers passes its sidecar", async () => {
    const project = await started("proxy-to-service");
    await answers(project, "web");
    const { inbound, outbound } = await seen(project, "cart-proxy");
    assert.ok(inbound >= 5, `${inbound}`);
    assert.equal(outbound, 0);
  });

  it("proxy to proxy: both directions at web's sidecar, one at cart's", async () => {
    const project = await started("proxy-to-proxy");
    await answers(project, "web-net");
    const [web, cart] = [await seen(project, "web-proxy"), await seen(project, "cart-proxy")];
    assert.ok(web.inbound >= 5 && web.outbound >= 5 && cart.inbound >= 5, JSON.stringify([web, cart]));
    assert.equal(cart.outbound, 0);
  });

  it("per host: one proxy for all, by name", async () => {
    const project = await started("per-host");
    await waitUntil(
      "web",
      async () => (await project.ask("weft", 4140, { host: "web" }).catch(() => null)) === "web, then cart",
      PATIENCE_MS,
    );
    assert.equal(await project.ask("weft", 4140, { host: "cart" }), "cart");
    assert.equal(await project.ask("weft", 4140, { host: "db.elsewhere" }), "");
  });
});

describe("docs/jobs.md in containers", () => {
  let project: Project | null = null;
  after(() => project?.remove());

  it("a job that fails ends its sidecar, by its drain, and its holder", async () => {
    const [, text = ""] = /^```yaml\n([\s\S]*?)^```$/m.exec(readFileSync(join(ROOT, "docs/jobs.md"), "utf8"))!;
    const script = `["sh", "-c", "sleep 3; exit 3"]`;
    const job = `image: weft\n    user: "1000:1000"\n    healthcheck: {disable: true}\n    entrypoint: ${script}`;
    project = new Project("job", ROOT, text.replace("image: registry.example/migrate", job));
    await project.compose("up", "--detach", "--no-build");
    assert.equal(await project.state("migrate-proxy"), "running 0", "it does not end before the application");
    const { state } = project;
    const states = (): Promise<string[]> =>
      Promise.all(["migrate", "migrate-proxy", "migrate-net"].map((name) => state.call(project, name)));
    await waitUntil("all to end", async () => (await states()).every((text) => text.startsWith("exited")), PATIENCE_MS);
    assert.deepEqual(await states(), ["exited 3", "exited 0", "exited 0"]);
    const log = await engine("logs", await project.id("migrate-proxy"));
    assert.match(log, /"reason":"the application has ended"/);
    assert.match(log, /"msg":"drained/);
  });
});
