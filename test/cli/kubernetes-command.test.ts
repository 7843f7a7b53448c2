// `weft inject`, `uninject` and `install --target kubernetes` as a user runs them: the built command, its output, its report and its exit code.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { Authority } from "../support/certificates.ts";
import { kubernetesProblems } from "../support/kubernetes-schemas.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAIN = process.env["WEFT_TEST_MAIN"] ?? join(ROOT, "dist/cli/main.js");
const FIXTURES = join(ROOT, "test/fixtures/kubernetes");

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-k8s-command-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function weft(args: readonly string[], input = ""): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1" } });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk: Buffer) => {
      texts[name] += chunk.toString("utf8");
    });
  }
  child.stdin.on("error", () => undefined).end(input);
  return await new Promise((resolve) => child.on("close", (code) => resolve({ code, ...texts })));
}

function fixture(name: string): string {
  return readFileSync(join(FIXTURES, name), "utf8");
}

function problemsOf(text: string): string[] {
  const documents = parseAllDocuments(text) as { toJS(): unknown }[];
  return documents.map((document) => document.toJS()).flatMap(kubernetesProblems);
}

describe("weft inject of manifests", () => {
  it("prints them with sidecars, and says on standard error what became of each", async () => {
    const { code, stdout, stderr } = await weft(["inject", join(FIXTURES, "jobs.yaml"), "--image", "registry.example/weft:1"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /image: registry\.example\/weft:1/);
    assert.deepEqual(problemsOf(stdout), []);
    assert.match(stderr, /jobs\.yaml:27:1: warning: job "migrate": .*POST \/shutdown/);
    assert.match(
      stderr,
      /^cronjob "nightly-report" injected\njob "migrate" injected\npod "debug" injected\ndeployment "not-ours" skipped\nconfigmap "text" skipped\n/m,
    );
    assert.match(stderr, /ConfigMap weft-identity-trust-roots .*--identity-trust-anchors-file adds it/);
  });

  it("goes through pipes, and back", async () => {
    for (const name of ["votes.yaml", "json.yaml", "kubectl-list.yaml"]) {
      const injected = await weft(["inject", "-"], fixture(name));
      assert.equal(injected.code, 0, injected.stderr);
      const { code, stdout, stderr } = await weft(["uninject", "-"], injected.stdout);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, fixture(name));
      assert.match(stderr, /^deployment ".*" uninjected$/m);
    }
  });

  it("takes options", async () => {
    writeFileSync(join(folder, "roots.pem"), new Authority().cert);
    const options = [
      "--native-sidecar=false",
      "--peer-identities=false",
      "--ipv6",
      "--control-namespace",
      "mesh",
      "--cluster-domain",
      "corp.example",
    ];
    const settings = ["--set", "proxy-log-level=debug", "--identity-trust-anchors-file", "roots.pem", "--trust-domain", "example.org"];
    const { code, stdout, stderr } = await weft(["inject", ...options, ...settings, "-"], fixture("kubectl-list.yaml"));
    assert.equal(code, 0, stderr);
    assert.deepEqual(problemsOf(stdout.replace(/^[\s\S]*?^--- # added by weft inject\n/m, "")), []);
    for (const expected of [
      /logLevel: debug/,
      /mesh: mesh\.example\.org/,
      /controller: weft-identity\.mesh\.svc\.corp\.example:8080/,
      /"?\[::\]:4143/,
      /postStart/,
    ]) {
      assert.match(stdout, expected);
    }
    assert.doesNotMatch(stdout, /restartPolicy: Always\n {12}args|identity: api/);
    assert.match(stdout, /kind: ConfigMap\nmetadata:\n {2}name: weft-identity-trust-roots\n {2}namespace: shop/);
    assert.doesNotMatch(stderr, /--identity-trust-anchors-file/);
    assert.equal((await weft(["uninject", "-"], stdout)).stdout, fixture("kubectl-list.yaml"));
  });

  it("takes a folder as one application", async () => {
    const app = join(folder, "app");
    mkdirSync(join(app, "api"), { recursive: true });
    mkdirSync(join(app, ".git"));
    writeFileSync(join(app, ".git", "x.yaml"), "not: [yaml");
    writeFileSync(join(app, "README.md"), "not: [yaml");
    writeFileSync(
      join(app, "a-service.yaml"),
      "apiVersion: v1\nkind: Service\nmetadata: {name: api}\nspec: {selector: {app: api}, ports: [{port: 80}]}",
    );
    writeFileSync(
      join(app, "api", "deployment.yml"),
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec:\n  selector: {matchLabels: {app: api}}\n  template:\n    metadata: {labels: {app: api}}\n    spec:\n      containers: [{name: api, image: api}]\n",
    );
    const { code, stdout, stderr } = await weft(["inject", "app"]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(problemsOf(stdout), []);
    assert.match(
      stdout,
      /dns: api\.default\.svc\.cluster\.local:80\n +identity: default\.default\.serviceaccount\.identity\.weft\.cluster\.local/,
    );
    assert.match(stderr, /service "api" skipped\ndeployment "api" injected/);
    writeFileSync(join(app, "z.yaml"), "kind: [\n");
    const broken = await weft(["inject", "app"]);
    assert.deepEqual([broken.code, broken.stdout], [1, ""]);
    assert.match(broken.stderr, /^app\/z\.yaml:\d+:\d+: /);
    writeFileSync(join(app, "z.yaml"), "services: {web: {image: nginx}}\n");
    const mixed = await weft(["inject", "app"]);
    assert.deepEqual([mixed.code, mixed.stdout], [1, ""]);
    assert.match(mixed.stderr, /^app\/z\.yaml: is no Kubernetes manifest/);
    mkdirSync(join(app, "empty"));
    assert.match((await weft(["uninject", join("app", "empty")])).stderr, /^weft uninject: app\/empty has 0 files/);
  });

  it("leaves nothing half done when something is wrong", async () => {
    const output = join(folder, "out.yaml");
    for (const [input, args, expected] of [
      ["apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {}\n", [], /^standard input:4:1: pod "p" has no containers/],
      [fixture("votes.yaml").replace("4567,4568,5671-5672", "all"), [], /skip-outbound-ports: "all"; expected ports/],
      ["apiVersion: v1\nkind: Pod\n---\nservices: {web: {image: a}}\n", [], /do not go together/],
      [fixture("votes.yaml"), ["--identity-trust-anchors-file", "none.pem"], /none\.pem cannot be read: ENOENT/],
      [fixture("votes.yaml"), ["--identity-trust-anchors-file", join(FIXTURES, "votes.yaml")], /has no certificate in PEM/],
      [fixture("votes.yaml"), ["--control-namespace", "A"], /--control-namespace "A": expected/],
      [fixture("votes.yaml"), ["--cluster-domain", "-"], /--cluster-domain "-": expected/],
      [fixture("votes.yaml"), ["--native-sidecar=maybe"], /Allowed choices are true, false/],
      [fixture("votes.yaml"), ["--set", "opaque-ports=x"], /opaque-ports/],
    ] as const) {
      const { code, stdout, stderr } = await weft(["inject", "-", "-o", output, ...args], input);
      assert.equal(code, 1, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, expected);
      assert.equal(existsSync(output), false);
    }
  });
});

describe("weft install --target kubernetes", () => {
  it("prints manifests, and touches nothing here", async () => {
    const { code, stdout, stderr } = await weft([
      "install",
      "--target",
      "kubernetes",
      "--image",
      "registry.example/weft:1",
      "--control-namespace",
      "mesh",
    ]);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.deepEqual(problemsOf(stdout), []);
    assert.match(stdout, /kind: StatefulSet/);
    assert.match(stdout, /--control-namespace=mesh/);
    assert.equal(existsSync(join(folder, ".weft")), false);
  });

  it("says what high availability is worth", async () => {
    const { code, stdout, stderr } = await weft([
      "install",
      "--target",
      "kubernetes",
      "--ha",
      "--oidc-issuer",
      "https://oidc.example/id/7",
    ]);
    assert.equal(code, 0);
    assert.match(stdout, /--oidc-issuer=https:\/\/oidc\.example\/id\/7[\s\S]*PodDisruptionBudget/);
    assert.match(stderr, /^weft install: --ha: there is one identity component/);
  });

  it("refuses what cannot be meant", async () => {
    const { code, stdout, stderr } = await weft(["install", "--target", "kubernetes", "--oidc-issuer", "cluster"]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /"cluster" is no issuer/);
  });
});

describe("the init container", () => {
  it("has arguments that weft init takes, and that do what annotations say", async () => {
    const annotations = {
      "config.linkerd.io/skip-inbound-ports": "22,8000-8010",
      "config.linkerd.io/skip-subnets": "10.1.0.0/16",
      "config.linkerd.io/admin-port": "5191",
    };
    const pod = `apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: ${JSON.stringify(annotations)}}\nspec: {containers: [{name: a, image: a}]}\n`;
    for (const options of [[], ["--ipv6"]]) {
      const { stdout: injected } = await weft(["inject", "-", ...options], pod);
      const [document] = parseAllDocuments(injected) as { toJS(): { spec: { initContainers: { args: string[] }[] } } }[];
      const { args } = document!.toJS().spec.initContainers[0]!;
      const { code, stdout, stderr } = await weft([...args, "--dry-run", "--iptables-mode=plain"]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /--dports 4190:4191,22,8000:8010,5191 -j RETURN/);
      assert.match(stdout, /-d 10\.1\.0\.0\/16 -j RETURN/);
      assert.match(stdout, /--uid-owner 2102 -j RETURN/);
      assert.match(stdout, /REDIRECT --to-ports 4140/);
      assert.equal(/ip6tables/.test(stdout), options.length > 0);
    }
  });
});
