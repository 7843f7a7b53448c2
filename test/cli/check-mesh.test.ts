// `weft check` of a mesh that runs: a real identity component and real proxies, well, and with one thing wrong at a time.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { rowOf } from "../../src/cli/check/catalogue.ts";
import { parseReport } from "../../src/cli/check/reports.ts";
import { MeshAuthority, type MeshFiles } from "../support/mesh-certificates.ts";
import { closedPort, freePorts } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { waitUntil } from "../support/wait.ts";
import { type Component, Stage } from "./check-support.ts";

const DAY_MS = 86_400_000;

let stage: Stage;
let component: Component;
let web: ProxyProcess;
let api: ProxyProcess;

const meshed = async (name: string): Promise<ProxyProcess> =>
  await ProxyProcess.start({
    services: {},
    identity: { controller: `127.0.0.1:${component.port}`, token: await stage.token(component, name) },
  });
const admin = (proxy: ProxyProcess): string[] => ["--admin", `127.0.0.1:${proxy.adminPort}`];
const identity = (): string[] => ["--identity-admin", component.admin];

before(async () => {
  stage = new Stage();
  component = await stage.component("identity");
  web = await meshed("web");
  api = await meshed("api");
});

after(async () => {
  await Promise.all([web, api].map((proxy) => proxy?.stop()));
  await component?.stop();
  stage?.end();
});

describe("a mesh that is well", () => {
  it("is said to be, category by category, in Linkerd's shape", async () => {
    const { code, stdout, stderr } = await stage.weft(["check", ...admin(web), ...admin(api), ...identity()]);
    assert.equal(stderr, "");
    assert.equal(code, 0, stdout);
    const lines = stdout.split("\n");
    const headings = lines.filter((_, index) => /^-+$/.test(lines[index + 1] ?? ""));
    assert.deepEqual(headings, [
      "weft-existence",
      "weft-identity",
      "weft-identity-data-plane",
      "weft-clock",
      "weft-data-plane",
      "weft-version",
    ]);
    for (const [index, line] of lines.entries()) {
      if (/^-+$/.test(line)) assert.equal(line.length, lines[index - 1]!.length);
    }
    assert.deepEqual(lines.slice(-2), ["Status check results are √", ""]);
    assert.ok(!/[×‼]/.test(stdout), stdout);
    assert.match(stdout, /^√ the issuer stays valid for a while \(it is replaced by itself about 20\d\d-/m);
  });

  it("has nothing to say in short", async () => {
    const { code, stdout } = await stage.weft(["check", ...admin(web), ...identity(), "-o", "short"]);
    assert.deepEqual([code, stdout], [0, "Status check results are √\n"]);
  });

  it("is as well in JSON, each check by its id", async () => {
    const { code, json, row } = await stage.check(...admin(web), ...admin(api), ...identity());
    assert.deepEqual([code, json.success], [0, true]);
    const rows = json.categories.flatMap(({ categoryName, checks }) => checks.map((check) => ({ categoryName, ...check })));
    for (const { categoryName, id, result } of rows) {
      assert.ok(id.startsWith(`${categoryName}-`), id);
      assert.equal(result, "success", id);
    }
    for (const id of ["anchors", "issuer", "certificates", "renewal"]) row(`weft-identity-data-plane-${id}`);
    for (const id of ["weft-identity-anchors-valid", "weft-identity-issuer-signed", "weft-clock-skew", "weft-version-proxies"]) row(id);
  });

  it("can be asked for the data plane alone", async () => {
    const { code, json } = await stage.check(...admin(web), ...identity(), "--proxy");
    assert.equal(code, 0);
    const names = json.categories.map(({ categoryName }) => categoryName);
    assert.ok(names.includes("weft-identity-data-plane") && !names.includes("weft-identity"), names.join());
  });

  it("is known by the identity component's folder, too", async () => {
    const { code, row } = await stage.check(...admin(web), "--data", component.data);
    assert.equal(code, 0);
    assert.equal(row("weft-existence-identity").result, "success");
    assert.equal(row("weft-identity-issuer-valid").result, "success");
    assert.equal(row("weft-identity-data-plane-anchors").result, "success");
  });
});

it("a folder of another mesh is said to be one, perhaps", async () => {
  const other = await stage.component("another");
  const { code, row } = await stage.check(...admin(web), "--data", other.data, "--wait", "0s");
  await other.stop();
  assert.equal(code, 1);
  const [first] = row("weft-identity-data-plane-anchors").error!.split("\n");
  assert.equal(first, `no proxy shares a root with ${other.data}: this may be another mesh's folder`);
});

describe("a proxy", () => {
  it("that nobody finds is an error that names it", async () => {
    const place = `127.0.0.1:${await closedPort()}`;
    const { code, stdout } = await stage.weft(["check", "--admin", place, ...identity(), "--wait", "0s"]);
    assert.equal(code, 1);
    const lines = stdout.split("\n");
    const at = lines.indexOf("× every proxy answers on its admin port");
    assert.deepEqual(lines.slice(at + 1, at + 4), [
      `    ${place}: nobody listens there`,
      `    what to do: ${rowOf("weft-existence-proxies").remedy}`,
      "    see docs/checks.md#weft-existence-proxies for hints",
    ]);
    assert.deepEqual(lines.slice(-2), ["Status check results are ×", ""]);
  });

  it("that is the identity component is told from one", async () => {
    const { code, row } = await stage.check("--admin", component.admin, "--wait", "0s");
    assert.equal(code, 1);
    assert.match(row("weft-existence-proxies").error!, /--identity-admin/);
  });

  it("that waits for its first certificate is not ready", async () => {
    const token = await stage.token(component, "early");
    const early = await ProxyProcess.begin({ services: {}, identity: { controller: `127.0.0.1:${await closedPort()}`, token } });
    try {
      const { code, row } = await stage.check(...admin(early), ...identity(), "--wait", "0s");
      assert.equal(code, 1);
      const ready = row("weft-data-plane-ready");
      assert.equal(ready.result, "error");
      assert.match(ready.error!, new RegExp(`^127.0.0.1:${early.adminPort} is not ready: it waits for its certificate`));
      assert.equal(ready.hint, "docs/checks.md#weft-data-plane-ready");
      assert.match(row("weft-identity-data-plane-certificates").error!, /has no certificate yet/);
    } finally {
      early.kill();
    }
  });

  it("with other anchors is named with what it does not trust", async () => {
    const files: MeshFiles = new MeshAuthority("elsewhere").files("web");
    const stranger = await ProxyProcess.start({ services: {}, identity: { ...files.paths } });
    try {
      const { code, row } = await stage.check(...admin(web), ...admin(stranger), ...identity(), "--wait", "0s");
      assert.equal(code, 1);
      const anchors = row("weft-identity-data-plane-anchors");
      assert.equal(anchors.result, "error");
      assert.match(
        anchors.error!,
        new RegExp(`127.0.0.1:${stranger.adminPort} does not trust "weft root [0-9a-f]{8}" \\(SHA-256 [0-9a-f]{16}`),
      );
      assert.ok(!anchors.error!.includes(`127.0.0.1:${web.adminPort}`), anchors.error);
    } finally {
      await stranger.stop();
      files.remove();
    }
  });

  it("without an identity among others is a warning", async () => {
    const plain = await ProxyProcess.start({ services: {} });
    try {
      const { code, row } = await stage.check(...admin(web), ...admin(plain), ...identity());
      assert.deepEqual([code, row("weft-identity-data-plane-meshed").result], [0, "warning"]);
    } finally {
      await plain.stop();
    }
  });

  it("that refused its configuration is a warning, until one is taken", async () => {
    const proxy = await ProxyProcess.start({ services: { web: { endpoints: ["127.0.0.1:1"] } } });
    try {
      proxy.configure({ services: { web: { endpoints: ["no address"] } } });
      await waitUntil("the refusal", async () => (await proxy.metrics()).sum("proxy_config_reloads_total", { result: "refused" }) > 0);
      const refused = await stage.check(...admin(proxy));
      assert.deepEqual([refused.code, refused.row("weft-data-plane-config").result], [0, "warning"]);
      await proxy.reconfigure({ services: { web: { endpoints: ["127.0.0.1:2"] } } });
      assert.equal((await stage.check(...admin(proxy))).row("weft-data-plane-config").result, "success");
    } finally {
      await proxy.stop();
    }
  });
});

it("inside a container a proxy is asked where its own configuration says", async () => {
  const config = JSON.stringify({
    apiVersion: "weft.dev/v1alpha1",
    kind: "Proxy",
    metadata: { name: "sidecar" },
    spec: { outbound: { listen: "127.0.0.1:4140" }, admin: { listen: `0.0.0.0:${web.adminPort}` } },
  });
  const other = config.replace("sidecar", "other").replace(String(web.adminPort), "1");
  const ask = async (...words: string[]): Promise<ReturnType<typeof parseReport>> => {
    const command = JSON.stringify(["proxy", ...words]);
    const { code, stdout, stderr } = await stage.weft(["check", "--report", "proxy", "--command", command], {
      WEFT_CONFIG: `${config}\n---\n${other}`,
    });
    assert.equal(code, 0, stderr);
    return parseReport(stdout);
  };
  const { report } = (await ask("--name", "sidecar"))!;
  assert.ok(report.kind === "proxy" && report.isReady && report.identity !== null, JSON.stringify(report));
  assert.match(report.identity.name!, /^web\.shop\./);
  assert.equal((await ask("--name", "other"))!.report.problem, "nobody listens there");
  assert.match((await ask("--name", "other", "--admin", "off"))!.report.problem!, /admin port is off/);
});

describe("an identity component", () => {
  it("that is down is an error, and its folder still tells what it signs with", async () => {
    const other = await stage.component("down");
    await other.stop();
    const { code, row } = await stage.check("--identity-admin", other.admin, "--data", other.data, "--wait", "0s");
    assert.equal(code, 1);
    const down = row("weft-existence-identity");
    assert.deepEqual([down.result, down.error], ["error", `${other.admin}: nobody listens there`]);
    assert.equal(row("weft-identity-anchors-valid").result, "success");
    const byFolder = await stage.check("--data", other.data, "--wait", "0s");
    assert.deepEqual([byFolder.code, byFolder.row("weft-existence-identity").error], [1, `${other.data}: no process holds ${other.data}`]);
  });

  it("that is on its way up is waited for", async () => {
    const [port, adminPort] = (await freePorts(2)) as [number, number];
    const waiting = stage.check("--identity-admin", `127.0.0.1:${adminPort}`, "--wait", "60s");
    const late = await stage.component("late", [], port, adminPort);
    const { code, row } = await waiting;
    assert.deepEqual([code, row("weft-existence-identity").result], [0, "success"]);
    await late.stop();
  });

  it("with an anchor that has ended is an error that names the anchor", async () => {
    const now = Date.now();
    const good = { notBeforeMs: now - DAY_MS, notAfterMs: now + 3650 * DAY_MS };
    const given = await stage.givenFiles([good, { notBeforeMs: now - 400 * DAY_MS, notAfterMs: now - DAY_MS }], good);
    const other = await stage.component("expired", given);
    const { code, row } = await stage.check("--identity-admin", other.admin);
    await other.stop();
    assert.equal(code, 1);
    const valid = row("weft-identity-anchors-valid");
    assert.equal(valid.result, "error");
    assert.match(valid.error!, /^"weft root given 1" \(SHA-256 [0-9a-f]{16}\.\.\.\) ended at 20/);
    assert.equal(row("weft-identity-issuer-signed").result, "success");
  });

  it("with an issuer close to its end is a warning, and the exit code stays 0", async () => {
    const now = Date.now();
    const root = { notBeforeMs: now - DAY_MS, notAfterMs: now + 3650 * DAY_MS };
    const given = await stage.givenFiles([root], { notBeforeMs: now - 335 * DAY_MS, notAfterMs: now + 30 * DAY_MS });
    const other = await stage.component("ending", given);
    const { code, stdout } = await stage.weft(["check", "--identity-admin", other.admin]);
    await other.stop();
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^‼ the issuer stays valid for a while\n {4}"weft issuer given" \(.*\) ends in 29 d, at .*\n {4}what to do: .*\n {4}see docs\/checks\.md#weft-identity-issuer-60-days for hints$/m,
    );
    assert.match(stdout, /Status check results are √\n$/);
  });
});

it("options that make no sense are refused before anything is asked", async () => {
  for (const [args, said] of [
    [["--wait", "soon"], /--wait: "soon" is no duration/],
    [["--admin", "nowhere"], /--admin "nowhere": it has no port; did you mean nowhere:4191\?/],
    [["--identity-admin", "nowhere"], /--identity-admin "nowhere": it has no port; did you mean nowhere:8089\?/],
    [["--pre", "--admin", "127.0.0.1:1"], /--admin does not go with --pre/],
    [["--project", "shop", "--data", "x"], /--project finds proxies by itself/],
    [["--project", "shop"], /no container engine/],
  ] as const) {
    const { code, stdout, stderr } = await stage.weft(["check", ...args]);
    assert.deepEqual([code, stdout], [1, ""], args.join(" "));
    assert.match(stderr, said);
  }
});
