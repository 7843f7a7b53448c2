// `weft check` of a compose project: what `weft install` and `weft inject` print, brought up by docker-compose; well, and with parts gone.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { CheckJson, CheckRow } from "../cli/check-support.ts";
import { BASE_IMAGE, engine, ok, ROOT, run, WEFT_IMAGE } from "./support/engine.ts";
import { Project } from "./support/project.ts";

/** From the sources: these tests need no build of their own beside the image. */
const WEFT = join(ROOT, "src/cli/main.ts");
/** A sidecar that was just started, on a busy machine: usually six seconds, fifty were seen. */
const WAIT = "120s";

/** It ends when it is told to: process 1 of a container hears no signal that it does not ask for, and is waited for until it is killed. */
const SERVICE = (name: string): string => `
  ${name}:
    image: ${BASE_IMAGE}
    command: [node, -e, "process.once('SIGTERM', () => process.exit()); require('node:http').createServer((_, answer) => answer.end('${name}')).listen(8080)"]
    expose: ["8080"]`;

describe("weft check of a compose project", () => {
  let folder: string;
  let project: Project;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "weft-check-compose-"));
    const [plain, meshed, mesh] = ["docker-compose.yml", "meshed.yml", "weft.yml"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(plain, `version: "3.9"\nservices:${SERVICE("web")}${SERVICE("api")}\n`);
    const common = ["--image", WEFT_IMAGE, "--folder", join(folder, ".weft")];
    await ok(process.execPath, [WEFT, "install", ...common, "--output", mesh]);
    await ok(process.execPath, [WEFT, "inject", plain, ...common, "--output", meshed]);
    project = new Project("weftcheck", [mesh, meshed]);
    await project.up();
  });
  after(async () => {
    await project?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  async function check(wait: string): Promise<{ code: unknown; names: string[]; rows: Map<string, CheckRow>; said: string }> {
    const { code, stdout, stderr } = await run(process.execPath, [WEFT, "check", "--project", project.name, "--wait", wait, "-o", "json"]);
    assert.notEqual(stdout, "", stderr);
    const { categories } = JSON.parse(stdout) as CheckJson;
    const rows = new Map(categories.flatMap(({ checks }) => checks).map((row) => [row.id, row]));
    return { code, names: categories.map(({ categoryName }) => categoryName), rows, said: stdout };
  }

  it("finds everything by its labels, asks each part from inside, and says that it is well", async () => {
    const { code, names, rows, said } = await check(WAIT);
    assert.equal(code, 0, said);
    assert.deepEqual(names, [
      "weft-existence",
      "weft-identity",
      "weft-identity-data-plane",
      "weft-clock",
      "weft-data-plane",
      "weft-version",
    ]);
    for (const [id, { result }] of rows) assert.equal(result, "success", `${id}: ${said}`);
    for (const id of [
      "weft-existence-containers",
      "weft-existence-init",
      "weft-identity-issuer-signed",
      "weft-identity-data-plane-anchors",
    ])
      assert.ok(rows.has(id), `${id}: ${said}`);
  });

  it("names a proxy that is down, one that is gone, an init that failed, an identity component that is down; and is well again with them", async () => {
    const [proxy, identity] = [project.container("api-proxy"), project.container("weft-identity")];
    await engine("stop", "--time", "10", proxy, identity);
    await engine("rm", "--force", "--depend", project.container("web-proxy"));
    const init = project.container("failing-init");
    const labels = ["--label", `com.docker.compose.project=${project.name}`, "--label", "weft.dev/part=init"];
    // Without its capabilities.
    await run("podman", ["run", "--name", init, ...labels, WEFT_IMAGE, "init"]);
    const { code, rows, said } = await check("0s");
    assert.equal(code, 1, said);
    const error = (id: string): string => `${rows.get(id)?.result}: ${rows.get(id)?.error}`;
    assert.match(
      error("weft-existence-containers"),
      new RegExp(`^error: ${proxy} does not run: exited with 0\\n${identity} does not run: .*\\nweb has no container for its proxy$`),
    );
    assert.equal(error("weft-existence-init"), `error: ${init} ended with 1`);
    assert.equal(error("weft-existence-identity"), `error: ${identity}: its container does not run (exited)`);
    assert.equal(error("weft-existence-proxies"), `error: ${proxy}: its container does not run (exited)`);
    assert.equal(rows.has("weft-identity-anchors-valid"), false, "nobody could be asked for them");

    await engine("rm", "--force", init);
    await project.up();
    const well = await check(WAIT);
    assert.equal(well.code, 0, well.said);
  });
});
