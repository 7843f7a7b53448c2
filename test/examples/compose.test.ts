// The compose files of the examples and of docs/jobs.md: their shape, and the configurations inside them, without an engine.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { checkConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { EXAMPLES } from "../support/example.ts";

interface Service {
  readonly command?: readonly string[];
  readonly image?: string;
  readonly network_mode?: string;
  readonly pid?: string;
  readonly user?: string;
  readonly restart?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { condition: string }>>;
  readonly healthcheck?: { disable?: boolean; test?: readonly string[] };
  readonly networks?: unknown;
  readonly ports?: unknown;
}

type Services = Readonly<Record<string, Service>>;

function servicesOf(text: string): Services {
  return (parse(text, { merge: true }) as { services: Services }).services;
}

const JOBS = fileURLToPath(new URL("../../docs/jobs.md", import.meta.url));
const files = new Map(
  globSync("*/compose.yml", { cwd: EXAMPLES }).map((path) => [`examples/${path}`, servicesOf(readFileSync(join(EXAMPLES, path), "utf8"))]),
);
files.set("docs/jobs.md", servicesOf(/^```yaml\n([\s\S]*?)^```$/m.exec(readFileSync(JOBS, "utf8"))![1]!));

it("there is a compose file for each way", () => {
  const names = ["per-host", "proxy-to-proxy", "proxy-to-service", "service-to-proxy"].map((way) => `examples/${way}/compose.yml`);
  assert.deepEqual([...files.keys()].sort(), ["docs/jobs.md", ...names]);
});

for (const [file, services] of files) {
  describe(file, () => {
    const all = Object.entries(services);
    const proxies = all.filter(([, { command }]) => command?.[0] === "proxy");

    it("has configurations without a mistake", () => {
      assert.ok(proxies.length > 0);
      for (const [name, { environment }] of proxies) {
        const text = environment?.WEFT_CONFIG ?? "";
        assert.ok(!text.includes("$"), "compose would replace it");
        assert.deepEqual(checkConfig({ text }).problems.map(formatProblem), [], name);
      }
    });

    it("names only services that are there, and waits for them by conditions", () => {
      for (const [name, { depends_on = {}, network_mode, pid }] of all) {
        for (const [other, { condition }] of Object.entries(depends_on)) {
          assert.ok(services[other], `${name} waits for ${other}`);
          assert.match(condition, /^service_(started|healthy|completed_successfully)$/);
        }
        for (const shared of [network_mode, pid]) {
          if (shared !== undefined) assert.ok(services[shared.replace(/^service:/, "")], `${name} shares ${shared}`);
        }
      }
    });

    it("gives proxies no privilege, and a network namespace to one holder each", () => {
      for (const [name, service] of all) {
        if (service.command?.[0] === "proxy") assert.deepEqual([service.read_only, service.cap_drop], [true, ["ALL"]], name);
        if (service.network_mode !== undefined) assert.deepEqual([service.networks, service.ports], [undefined, undefined], name);
        // The image's own check asks the admin port, which these have not.
        const { disable, test } = service.healthcheck ?? {};
        if (service.command?.[0] === "hold" || service.command?.[0] === "init") assert.ok(disable === true || test !== undefined, name);
      }
    });

    it("starts an application behind a redirect when its proxy is healthy, as another user than the proxy's", () => {
      for (const [name, service] of all) {
        if (service.network_mode === undefined || service.command?.[0] === "init" || service.command?.[0] === "proxy") continue;
        const proxy = service.network_mode.replace(/^service:(.*)-net$/, "$1-proxy");
        assert.equal(service.depends_on?.[proxy]?.condition, "service_healthy", name);
        assert.notEqual(service.user, services[proxy]!.user, name);
      }
    });
  });
}

it("a job shares the process namespace of its holder, and nothing of it is started again after its end", () => {
  const services = files.get("docs/jobs.md")!;
  assert.equal(services["migrate"]?.pid, "service:migrate-net");
  assert.equal(services["migrate-proxy"]?.pid, "service:migrate-net");
  assert.deepEqual(services["migrate-proxy"]?.command, ["proxy", "--job"]);
  assert.deepEqual(services["migrate-net"]?.command, ["hold", "--job"]);
  assert.deepEqual(
    ["migrate-net", "migrate-init", "migrate-proxy", "migrate"].map((name) => services[name]?.restart),
    ["no", "no", "on-failure", "no"],
  );
});
