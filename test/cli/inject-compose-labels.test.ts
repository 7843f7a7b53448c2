// What labels and options make of a sidecar, and that every configuration that weft inject writes is one that weft takes.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { checkConfig } from "../../src/config/load.ts";
import { runWeft } from "../support/weft-command.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/compose/", import.meta.url));

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-inject-"));
  cpSync(FIXTURES, folder, { recursive: true });
});
after(() => rmSync(folder, { recursive: true, force: true }));

type Service = Readonly<Record<string, unknown>> & {
  readonly environment: { readonly WEFT_CONFIG: string } & Readonly<Record<string, string>>;
};

interface Meshed {
  readonly services: Readonly<Record<string, Service>>;
  readonly stderr: string;
}

async function inject(text: string, ...options: string[]): Promise<Meshed> {
  const { code, stdout, stderr } = await runWeft(["inject", "--dry-run", ...options, "-"], { cwd: folder, stdin: text });
  assert.equal(code, 0, stderr);
  return { ...(parse(stdout, { merge: true }) as Meshed), stderr };
}

/** A service with these labels, and one that calls it. */
function withLabels(...labels: readonly string[]): string {
  const list = labels.map((label) => `      - '${label}'`).join("\n");
  return `services:\n  web:\n    image: a\n    expose: [8080, 9000]\n    labels:\n${list}\n  caller:\n    image: b\n    expose: [80]\n`;
}

/** As compose hands it over: defaults of variables filled in. */
function filledIn(config: string): string {
  return config.replace(/\$\{[^}]*?-([^}]*)\}/g, "$1").replaceAll("$$", "$");
}

test("every sidecar's configuration in the outputs of the example files is valid", async () => {
  let count = 0;
  for (const name of ["shop.yml", "blog-v2.yml", "pipeline.yml", "extends.yml", "flow.yml", "services.json", "notes.yml"]) {
    const { code, stdout, stderr } = await runWeft(["inject", "--dry-run", name], { cwd: folder });
    assert.equal(code, 0, stderr);
    for (const [service, { environment }] of Object.entries((parse(stdout, { merge: true }) as Meshed).services)) {
      if (!service.endsWith("-proxy")) continue;
      const { problems } = checkConfig({ text: filledIn(environment.WEFT_CONFIG), label: `${name}: ${service}` });
      assert.deepEqual(problems, []);
      count += 1;
    }
  }
  assert.ok(count > 15);
});

test("settings of the sidecar reach its container and its configuration", async () => {
  const { services, stderr } = await inject(
    withLabels(
      "config.linkerd.io/proxy-cpu-limit=1500m",
      "config.linkerd.io/proxy-cpu-request=100m",
      "config.linkerd.io/proxy-memory-limit=128Mi",
      "config.linkerd.io/proxy-memory-request=64Mi",
      "config.linkerd.io/proxy-log-level=warn,linkerd=info",
      "config.linkerd.io/access-log=json",
      "config.linkerd.io/default-inbound-policy=all-authenticated",
      "config.linkerd.io/proxy-admin-shutdown=disabled",
      "config.linkerd.io/shutdown-grace-period=20s",
      "config.linkerd.io/proxy-outbound-connect-timeout=2s",
      "config.linkerd.io/proxy-image=example/weft",
      "config.linkerd.io/proxy-version=1.2.3",
      "config.linkerd.io/image-pull-policy=Never",
      "config.linkerd.io/proxy-uid=3000",
      "config.linkerd.io/proxy-gid=3001",
      "config.linkerd.io/admin-port=5191",
      "config.linkerd.io/outbound-port=5140",
      'config.linkerd.io/proxy-additional-env=[{"name": "A", "value": "$$b"}]',
      "config.linkerd.io/proxy-await=disabled",
    ),
  );
  assert.doesNotMatch(stderr, /warning/);
  const proxy = services["web-proxy"]!;
  assert.deepEqual(
    ["image", "pull_policy", "user", "cpus", "cpu_shares", "mem_limit", "mem_reservation", "stop_grace_period"].map((key) => proxy[key]),
    ["example/weft:1.2.3", "never", "3000:3001", 1.5, 102, "134217728b", "67108864b", "30s"],
  );
  assert.equal(proxy.environment["A"], "$$b");
  assert.match(JSON.stringify(proxy["healthcheck"]), /127\.0\.0\.1\/5191/);
  assert.deepEqual(services["web-init"]!["command"], ["init", "--outgoing-proxy-port", "5140", "--proxy-uid", "3000"]);
  assert.deepEqual(services["web"]!["depends_on"], { "web-proxy": { condition: "service_started" } });
  const { WEFT_CONFIG: config } = proxy.environment;
  assert.deepEqual(checkConfig({ text: config, label: "web" }).problems, []);
  assert.deepEqual((parse(config.split("---\n")[0]!) as { spec: unknown }).spec, {
    workers: 2,
    outbound: { listen: "127.0.0.1:5140", transparent: true },
    inbound: { transparent: true, policy: "all-authenticated" },
    identity: { controller: "weft-identity:8080", token: "/run/secrets/weft-token" },
    admin: { listen: "0.0.0.0:5191", shutdownEndpoint: false },
    accessLog: "json",
    logLevel: "warn",
    limits: { connectTimeoutMs: 2000, drainGraceMs: 20_000 },
  });
});

test("a limit that its sidecar would not start with counts for nothing, and is told", async () => {
  const { services, stderr } = await inject(withLabels("config.linkerd.io/proxy-memory-limit=127Mi"));
  assert.match(stderr, /warning: service "web": config\.linkerd\.io\/proxy-memory-limit is "127Mi", and counts for nothing/);
  assert.match(stderr, /expected 128Mi or more/);
  assert.equal(services["web-proxy"]!["mem_limit"], undefined);
});

test("ports that are skipped, opaque or for the mesh only are so on both sides", async () => {
  const { services } = await inject(
    withLabels(
      "config.linkerd.io/skip-inbound-ports=9000",
      "config.linkerd.io/skip-outbound-ports=25,3000-3010",
      "config.linkerd.io/skip-subnets=10.9.0.0/16",
      "config.linkerd.io/opaque-ports=7000",
      "config.linkerd.io/pod-inbound-ports=7100",
      "config.linkerd.io/proxy-require-identity-inbound-ports=8080",
    ),
  );
  const options = ["--inbound-ports-to-ignore", "9000", "--outbound-ports-to-ignore", "25,3000-3010", "--subnets-to-ignore", "10.9.0.0/16"];
  assert.deepEqual(services["web-init"]!["command"], ["init", ...options]);
  const own = services["web-proxy"]!.environment.WEFT_CONFIG;
  assert.match(own, /- \{port: 7000, protocol: opaque\}\n {6}- \{port: 8080, policy: all-authenticated\}/);
  const callers = services["caller-proxy"]!.environment.WEFT_CONFIG.split("---\n").slice(1);
  const seen = callers.map(
    (text) => parse(text) as { metadata: { name: string }; spec: { ports: object[]; endpoints: Record<string, string>[] } },
  );
  const identity = "web.default.serviceaccount.identity.weft.cluster.local";
  assert.deepEqual(
    seen.map(({ metadata, spec }) => [metadata.name, spec.ports[0], spec.endpoints[0]]),
    [
      ["web", { port: 8080 }, { dns: "web:8080", identity }],
      ["web-9000", { port: 9000 }, { dns: "web:9000" }],
      ["web-7100", { port: 7100 }, { dns: "web:7100", identity }],
      ["web-7000", { port: 7000, protocol: "opaque" }, { dns: "web:7000", identity }],
    ],
  );
});

test("--set stands behind the labels, and namespace, trust domain, image and folder are everywhere", async () => {
  const { services, ...rest } = await inject(
    withLabels("config.linkerd.io/proxy-log-level=debug"),
    ...["--set", "proxy-log-level=error", "--set", "config.linkerd.io/access-log=apache", "-n", "shop", "--trust-domain", "mesh.example"],
    ...["--image", "registry.example:5000/weft:2", "--folder", "/srv/weft/"],
  );
  assert.match(services["web-proxy"]!.environment.WEFT_CONFIG, /logLevel: debug/);
  const config = services["caller-proxy"]!.environment.WEFT_CONFIG;
  assert.match(config, /logLevel: error/);
  assert.match(config, /accessLog: apache/);
  assert.match(config, /metadata: \{name: caller, namespace: shop\}/);
  assert.match(config, /identity: web\.shop\.serviceaccount\.identity\.weft\.mesh\.example/);
  assert.equal(services["web-net"]!["image"], "registry.example:5000/weft:2");
  assert.deepEqual((rest as unknown as { secrets: unknown }).secrets, {
    "weft-token-web": { file: "/srv/weft/tokens/shop.web.token" },
    "weft-token-caller": { file: "/srv/weft/tokens/shop.caller.token" },
  });
});

test("services of other networks, without a network or in another's are none that a sidecar knows", async () => {
  const { services } = await inject(
    "services:\n  a: {image: i, networks: [one], expose: [1]}\n  b: {image: i, networks: {two: {}, one: null}, expose: [2]}\n  c: {image: i, networks: [two], expose: [3]}\n  d: {image: i, network_mode: none, expose: [4]}\n  e: {image: i, network_mode: 'service:a'}\nnetworks: {one: {}, two: {}}\n",
  );
  const known = (name: string): string[] =>
    [...services[name]!.environment.WEFT_CONFIG.matchAll(/dns: "([a-z]:\d)"/g)].map(([, dns]) => dns!);
  assert.deepEqual([known("a-proxy"), known("b-proxy"), known("c-proxy")], [["b:2"], ["a:1", "c:3"], ["b:2"]]);
  assert.equal(services["e"]!["network_mode"], "service:a-net");
});

const WARNED: readonly [string, RegExp][] = [
  [
    "config.linkerd.io/opaque-port=80",
    /^standard input:6:9: warning: service "web": there is no config\.linkerd\.io\/opaque-port; did you mean config\.linkerd\.io\/opaque-ports\?$/m,
  ],
  [
    "config.linkerd.io/proxy-cpu-limit=much",
    /config\.linkerd\.io\/proxy-cpu-limit is "much", and counts for nothing; expected CPUs such as 0\.5 or 500m/,
  ],
  ["config.linkerd.io/enable-gateway=true", /config\.linkerd\.io\/enable-gateway has no effect on Weft's sidecars/],
  ["linkerd.io/inject=ingress", /linkerd\.io\/inject: ingress is the same as enabled/],
  ["linkerd.io/inject=no", /linkerd\.io\/inject is "no", taken for enabled; expected enabled or disabled/],
  ["config.linkerd.io/shutdown-grace-period=2h", /shutdown-grace-period is "2h".*expected a duration from 0ms to 3600s/],
];

for (const [label, expected] of WARNED) {
  test(`warns of ${label}`, async () => {
    const { services, stderr } = await inject(withLabels(label));
    assert.match(stderr, expected);
    assert.deepEqual(checkConfig({ text: services["web-proxy"]!.environment.WEFT_CONFIG, label: "web" }).problems, []);
  });
}

test("a service for whose end others wait is a job: its sidecar looks at its processes and ends with it", async () => {
  const text = (lines: string): string =>
    `services:\n  job:\n    image: a\n${lines}  web:\n    image: b\n    depends_on: {job: {condition: service_completed_successfully}}\n`;
  const { services, stderr } = await inject(text(""));
  assert.doesNotMatch(stderr, /warning/);
  const shown = ["job-net", "job-proxy", "job"].map((name) => ["command", "restart", "pid"].map((key) => services[name]![key]));
  assert.deepEqual(shown, [
    [["hold", "--job"], "no", undefined],
    [["proxy", "--job"], "on-failure", "service:job-net"],
    [undefined, undefined, "service:job-net"],
  ]);
  assert.deepEqual([services["web-net"]!["command"], services["web"]!["pid"]], [["init", "--hold"], undefined]);
  const again = await inject(text("    restart: on-failure\n"));
  assert.match(
    again.stderr,
    /^standard input:2:3: warning: service "job": it ends by itself but has restart: on-failure, so its sidecar does not/m,
  );
  assert.deepEqual(again.services["job-net"]!["command"], ["init", "--hold"]);
  const off = await inject(text("    labels: {weft.dev/job: 'false'}\n"));
  assert.deepEqual(off.services["job-net"]!["command"], ["init", "--hold"]);
  const byLabel = await inject("services:\n  job: {image: a, labels: [weft.dev/job=true]}\n");
  assert.deepEqual(byLabel.services["job-net"]!["command"], ["hold", "--job"]);
});
