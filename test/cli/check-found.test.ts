// What `weft check` finds when little or nothing is named: this host's usual ports (here others, so that nobody else's mesh is met), the
// projects of a container engine, and what it says when a part of the mesh, or the whole of it, is not there.
//
// The engine is a server at a socket that answers as Docker's API does to the questions asked here: which containers there are is the
// test's to say. What real engines answer is in test/containers.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findMesh, type Gather, type MeshOptions, type Surroundings } from "../../src/cli/check/mesh.ts";
import { existenceChecks } from "../../src/cli/check/mesh-checks.ts";
import type { Mesh } from "../../src/cli/check/reports.ts";
import { type CheckResult, runChecks } from "../../src/cli/check/run-checks.ts";
import { closedPort } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { type Component, Stage } from "./check-support.ts";

interface Container {
  readonly project: string;
  readonly part: string;
  readonly status: string;
  readonly exitCode?: number;
  readonly command?: readonly string[];
}

const IDENTITY: Container = { project: "shop", part: "identity", status: "exited" };
const INIT: Container = { project: "shop", part: "init", status: "exited" };

let stage: Stage;
let component: Component;
let proxy: ProxyProcess;
let engine: Server;
let containers: readonly Container[] = [];
let inspected = 0;
let nobody = "";

before(async () => {
  stage = new Stage();
  component = await stage.component("identity");
  proxy = await ProxyProcess.start({ services: {} });
  nobody = `127.0.0.1:${await closedPort()}`;
  engine = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answerOf(decodeURIComponent(request.url!))));
  });
  await new Promise<void>((resolve) => engine.listen(socketPath(), resolve));
});
after(async () => {
  engine?.close();
  await proxy?.stop();
  await component?.stop();
  stage?.end();
});

const socketPath = (): string => join(stage.folder, "engine.sock");

function answerOf(url: string): unknown {
  if (url.startsWith("/version")) return { ApiVersion: "1.41", Version: "1", Components: [{ Name: "Engine" }] };
  if (!url.startsWith("/containers/json")) {
    inspected++;
    const { status = "removing", exitCode = 0, command = [] } = containers[Number(url.split("/")[2])] ?? {};
    return { State: { Status: status, ExitCode: exitCode }, Config: { Entrypoint: [], Cmd: command }, RestartCount: 0 };
  }
  const wanted = /com\.docker\.compose\.project=(\w+)/.exec(url)?.[1];
  return containers.flatMap(({ project, part, status }, index) => {
    const Labels = { "weft.dev/part": part, "weft.dev/service": "", "com.docker.compose.project": project };
    return wanted === undefined || wanted === project ? [{ Id: String(index), Names: [`/${project}-${part}`], State: status, Labels }] : [];
  });
}

/** An engine with these containers, and these usual ports. */
function surroundings(given: readonly Container[], proxyAdmin = nobody, identityAdmin = nobody): Surroundings {
  containers = given;
  return { environment: { DOCKER_HOST: `unix://${socketPath()}` }, proxyAdmin, identityAdmin };
}

async function gathered(options: MeshOptions, here: Surroundings): Promise<Gather> {
  const found = await findMesh(options, here);
  if (typeof found !== "function") throw new Error(found.problems.join());
  return found;
}

async function existence(mesh: Mesh, needsProxies = false): Promise<Map<string, CheckResult>> {
  const timing = { waitMs: 0, refresh: async () => undefined, onWaiting: () => undefined };
  const results = await runChecks(
    existenceChecks(() => mesh, needsProxies),
    timing,
  );
  return new Map(results.map((result) => [result.id, result]));
}

const proxyPlace = (): string => `127.0.0.1:${proxy.adminPort}`;

describe("this host's usual ports", () => {
  it("without a proxy are a warning that says where it was looked for, and an error with --proxy", async () => {
    const here = surroundings([], nobody, component.admin);
    for (const options of [{}, { identityAdmin: component.admin }, { data: component.data }]) {
      const mesh = await (await gathered(options, here))();
      const row = (await existence(mesh)).get("weft-existence-data-plane")!;
      assert.deepEqual([row.result, row.problem], ["warning", [`no proxy found at ${nobody}; name them with --admin HOST:PORT`]]);
      assert.equal((await existence(mesh)).get("weft-existence-identity")!.result, "success");
      assert.equal((await existence(mesh, true)).get("weft-existence-data-plane")!.result, "error");
    }
  });

  it("are looked at for a proxy when only the identity component is named, and what was looked at is said", async () => {
    const here = surroundings([], proxyPlace(), component.admin);
    for (const options of [{}, { identityAdmin: component.admin }, { data: component.data }]) {
      const mesh = await (await gathered(options, here))();
      assert.deepEqual(
        mesh.proxies.map(({ name, report }) => [name, report.problem]),
        [[proxyPlace(), null]],
      );
      const rows = await existence(mesh);
      assert.ok(rows.get("weft-existence-found")!.note!.includes(proxyPlace()));
      assert.deepEqual([rows.get("weft-existence-data-plane")!.result, rows.get("weft-existence-data-plane")!.note], ["success", "1"]);
    }
  });

  it("miss a proxy that was there before", async () => {
    const short = await ProxyProcess.start({ services: {} });
    const gather = await gathered({}, surroundings([], `127.0.0.1:${short.adminPort}`, component.admin));
    assert.equal((await gather()).proxies[0]!.report.problem, null);
    await short.stop();
    const rows = await existence(await gather());
    assert.deepEqual(rows.get("weft-existence-proxies")!.problem, [`127.0.0.1:${short.adminPort}: nobody listens there`]);
  });

  it("with nothing at all are no mesh", async () => {
    const rows = await existence(await (await gathered({}, surroundings([])))());
    assert.deepEqual(
      [...rows.values()].map(({ id, result }) => `${id} ${result}`),
      ["weft-existence-found error"],
    );
  });
});

describe("a container engine", () => {
  it("with another mesh does not hide what answers on this host", async () => {
    const here = surroundings([IDENTITY], proxyPlace(), component.admin);
    const rows = await existence(await (await gathered({}, here))());
    assert.equal(rows.get("weft-existence-found")!.note, 'the compose project "shop"');
    const row = rows.get("weft-existence-elsewhere")!;
    assert.equal(row.result, "warning");
    assert.deepEqual(row.problem, [
      `only the compose project "shop" was looked at; something answers on this host, too: look at it with --admin ${proxyPlace()} --identity-admin ${component.admin}`,
    ]);
    assert.deepEqual(rows.get("weft-existence-data-plane")!.problem, ['no proxy found in the compose project "shop"']);
    const named = await existence(await (await gathered({ project: "shop" }, here))());
    assert.equal(named.get("weft-existence-elsewhere"), undefined);
  });

  it("with several meshes says how to look at this host, too", async () => {
    const here = surroundings([IDENTITY, { ...IDENTITY, project: "blog" }], proxyPlace());
    assert.deepEqual(await findMesh({}, here), {
      problems: [
        `there are meshes of several compose projects (blog, shop): choose one with --project; what answers on this host is looked at with --admin ${proxyPlace()}`,
      ],
    });
  });
});

describe("a job's sidecar and holder", () => {
  const IDLE: Container = { project: "shop", part: "net", status: "running" };
  const job = (exitCode: number, ...words: string[]): Container[] => [
    { project: "shop", part: "proxy", status: "exited", exitCode, command: ["proxy", ...words] },
    { ...IDLE, part: "net", status: "exited", exitCode, command: ["hold", ...words] },
  ];
  const states = async (given: readonly Container[]): Promise<string[]> =>
    (await (await gathered({ project: "shop" }, surroundings([IDLE, ...given])))()).containers!.map(({ status }) => status);

  it("that have ended with 0 are no failure; others that have ended are", async () => {
    assert.deepEqual(await states(job(0, "--job")), ["running"]);
    assert.deepEqual(await states(job(1, "--job")), ["running", "exited", "exited"]);
    assert.deepEqual(await states(job(0)), ["running", "exited", "exited"]);
  });
});

describe("several compose projects", () => {
  const RUNNING: Container = { project: "blog", part: "net", status: "running" };

  it("of which one runs are that one, and the others are named", async () => {
    const mesh = await (await gathered({}, surroundings([IDENTITY, INIT, RUNNING, { ...IDENTITY, project: "blog" }])))();
    assert.equal((await existence(mesh)).get("weft-existence-found")!.note, 'the compose project "blog"; nothing runs of "shop"');
    assert.equal((await existence(mesh)).get("weft-existence-data-plane")!.problem?.[0], 'no proxy found in the compose project "blog"');
    assert.deepEqual(
      mesh.containers!.map(({ name }) => name),
      ["blog-identity", "blog-net"],
    );
  });

  it("of which some run are those to choose from", async () => {
    for (const status of ["running", "restarting", "paused"]) {
      const here = surroundings([RUNNING, IDENTITY, { ...IDENTITY, project: "cart", status }]);
      assert.deepEqual(await findMesh({}, here), {
        problems: ["there are meshes of several compose projects (blog, cart): choose one with --project"],
      });
    }
  });

  it("of which none runs are all to choose from", async () => {
    for (const status of ["exited", "created", "dead", "removing"])
      assert.deepEqual(await findMesh({}, surroundings([IDENTITY, { ...RUNNING, status }])), {
        problems: ["there are meshes of several compose projects (blog, shop): choose one with --project"],
      });
  });
});

describe("the command, with a container engine", () => {
  const check = async (...args: string[]) =>
    await stage.weft(["check", "--project", "shop", ...args], { DOCKER_HOST: `unix://${socketPath()}` });

  it("fails where --proxy finds none", async () => {
    surroundings([IDENTITY]);
    const { code, stdout } = await check("--proxy", "--wait", "0s");
    assert.equal(code, 1);
    assert.match(stdout, /^× there are proxies to look at\n {4}no proxy found in the compose project "shop"\n/m);
  });

  it("is not content with what a project that was taken down has left behind", async () => {
    surroundings([INIT]);
    const { code, stdout } = await check();
    assert.equal(code, 1);
    assert.match(stdout, /^× a mesh was found\n {4}there is neither a proxy nor an identity component in the compose project "shop"\n/m);
  });

  it("ends when the project goes while it waits for it", async () => {
    surroundings([IDENTITY, INIT]);
    inspected = 0;
    const result = check("--wait", "60s");
    while (inspected < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    containers = [];
    const { code, stderr } = await result;
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^weft check: nothing is left of the mesh in the compose project "shop": it was taken down while it was checked\n$/,
    );
  });
});
