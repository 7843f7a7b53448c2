// `weft check --pre`: this host as it is, and with one thing wrong at a time.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePorts } from "../support/ports.ts";
import { Stage } from "./check-support.ts";

let stage: Stage;
let free = "";

before(async () => {
  stage = new Stage();
  free = (await freePorts(3)).join(",");
});
after(() => stage.end());

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** An HTTP server whose clock is so far ahead. */
async function withClock<T>(aheadMs: number, work: (place: string) => Promise<T>): Promise<T> {
  const server = createHttpServer((_, response) => {
    response.sendDate = false;
    response.setHeader("date", new Date(Date.now() + aheadMs).toUTCString());
    response.end();
  });
  try {
    return await work(`127.0.0.1:${await listening(server)}`);
  } finally {
    server.close();
  }
}

describe("weft check --pre", () => {
  it("passes where proxies run already, whatever it warns of", async () => {
    const { code, json, row } = await stage.check("--pre", "--target", "host", "--ports", free);
    assert.equal(code, 0, JSON.stringify(json, null, 1));
    assert.equal(json.success, true);
    assert.deepEqual(
      json.categories.map(({ categoryName }) => categoryName),
      ["pre-node", "pre-host", "pre-redirect"],
    );
    for (const id of [
      "pre-node-version",
      "pre-node-system-calls",
      "pre-host-kernel",
      "pre-host-ports",
      "pre-host-clock-year",
      "pre-host-folder",
    ]) {
      assert.equal(row(id).result, "success", id);
    }
  });

  it("names a port that is taken, who has it, and what to do", async () => {
    const server = createServer();
    const port = await listening(server);
    try {
      const { code, stdout } = await stage.weft(["check", "--pre", "--target", "host", "--ports", `${free},${port}`]);
      assert.equal(code, 1);
      const taken = `× the ports of a proxy and of the identity component are free\n    port ${port} is taken by .+ \\(process ${process.pid}\\)\n`;
      assert.match(stdout, new RegExp(`${taken}    what to do: .*\n    see docs/checks.md#pre-host-ports for hints\n`));
      assert.match(stdout, /Status check results are ×\n$/);
      const compose = await stage.check("--pre", "--target", "compose", "--ports", String(port));
      assert.throws(() => compose.row("pre-host-ports"), /no pre-host-ports/);
    } finally {
      server.close();
    }
  });

  it("looks at the identity component's admin port, too, when no ports are named", async () => {
    const server = createServer();
    // An address of its own: if somebody has the port there already, it is as taken.
    await new Promise<void>((resolve) => server.once("error", () => resolve()).listen(8089, "127.0.0.89", resolve));
    try {
      const { code, row } = await stage.check("--pre", "--target", "host");
      assert.equal(code, 1);
      assert.match(row("pre-host-ports").error!, /^port 8089 is taken/m);
    } finally {
      server.close();
    }
  });

  it("compares the clock with a host that is named", async () => {
    const look = async (place: string) => await stage.check("--pre", "--target", "host", "--ports", free, "--against", place);
    const same = await withClock(0, look);
    assert.equal(same.row("pre-host-clock-against").result, "success");
    const ahead = await withClock(60_000, look);
    assert.equal(ahead.code, 1);
    assert.match(ahead.row("pre-host-clock-against").error!, /^the clock of 127\.0\.0\.1:\d+ is (59|60|61) s ahead of this one$/);
    const behind = await withClock(-10_000, look);
    assert.deepEqual([behind.code, behind.row("pre-host-clock-against").result], [0, "warning"]);
  });

  it("warns, and says why, where redirects cannot be tried or iptables is missing", async () => {
    const tools = stage.makeFolder("tools");
    const look = async () => await stage.weft(["check", "--pre", "--target", "host", "--ports", free], { PATH: tools });
    const without = await look();
    assert.equal(without.code, 0, without.stdout);
    assert.match(without.stdout, /^‼ connections can be redirected by iptables\n {4}it could not be tried: .*`unshare` is missing/m);
    for (const name of ["unshare", "true"])
      symlinkSync(execFileSync("sh", ["-c", `command -v /usr/bin/${name}`], { encoding: "utf8" }).trim(), join(tools, name));
    const { code, stdout } = await look();
    assert.equal(code, 0, stdout);
    assert.match(
      stdout,
      /^‼ connections can be redirected by iptables\n {4}(weft init: iptables-save is not installed|it could not be tried)/m,
    );
  });

  it("says that .weft cannot be written", async () => {
    writeFileSync(join(stage.folder, ".weft"), "");
    const { code, row } = await stage.check("--pre", "--target", "host", "--ports", free);
    assert.equal(code, 1);
    assert.equal(row("pre-host-folder").error, `${join(stage.folder, ".weft")} is no folder`);
  });

  it("takes a missing engine for an error only where one is needed", async () => {
    const other = new Stage();
    try {
      const compose = await other.check("--pre", "--target", "compose");
      assert.equal(compose.code, 1);
      const reachable = compose.row("pre-engine-reachable");
      assert.equal(reachable.result, "error");
      assert.equal(reachable.error, `unix://${other.folder}/no-engine.sock (DOCKER_HOST): the socket is not there`);
      const any = await other.check("--pre", "--ports", free);
      assert.deepEqual([any.code, any.row("pre-engine-reachable").result], [0, "warning"]);
    } finally {
      other.end();
    }
  });
});
