// `weft diagnostics proxy-identity`: what running proxies say of their identity, and that no key and no token is in it.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { IdentityComponent } from "../control/support/identity-component.ts";
import { MeshFiles, SERVER_NAME } from "../support/mesh-files.ts";
import { freePorts } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { waitUntil } from "../support/wait.ts";
import { weft } from "./identity-support.ts";

const WEB = "web.shop.serviceaccount.identity.weft.cluster.local";

const hex = (certificate: X509Certificate): string => certificate.fingerprint256.replaceAll(":", "").toLowerCase();

interface Told {
  readonly admin: string;
  readonly identity: {
    readonly name: string;
    readonly state: string;
    readonly controller: string | null;
    readonly isControllerReached: boolean | null;
    readonly certificate: { readonly fingerprint: string; readonly notAfter: string } | null;
    readonly roots: readonly { readonly fingerprint: string; readonly notAfter: string }[];
    readonly trustVersion: number | null;
    readonly failedAttempts: number;
    readonly lastFailure: { readonly reason: string; readonly message: string; readonly at: string } | null;
    readonly refreshes: { readonly ok: number; readonly failed: number };
  } | null;
}

describe("weft diagnostics proxy-identity", () => {
  let folder: string;
  let component: IdentityComponent;
  let files: MeshFiles;
  let certified: ProxyProcess;
  let waiting: ProxyProcess;
  let fromFiles: ProxyProcess;
  let outside: ProxyProcess;
  let token: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "weft-identity-diagnostics-"));
    component = await IdentityComponent.start({ data: join(folder, "data") });
    token = await component.token();
    const tokenFile = join(folder, "web.token");
    writeFileSync(tokenFile, token, { mode: 0o600 });
    files = new MeshFiles();
    const [nobody] = await freePorts(1);
    const controller = `127.0.0.1:${component.controller.port}`;
    certified = await ProxyProcess.start({ services: {}, identity: { controller, token: tokenFile, keep: join(folder, "keep") } });
    waiting = await ProxyProcess.begin({ services: {}, identity: { controller: `127.0.0.1:${nobody}`, token: tokenFile } });
    fromFiles = await ProxyProcess.start({ services: {}, identity: files.server });
    outside = await ProxyProcess.start({ services: {} });
    await waitUntil("its trust stream", async () => {
      return ((await certified.stats())["identity"] as NonNullable<Told["identity"]>).isControllerReached;
    });
    await waitUntil("a failure", async () => (await waiting.metrics()).sum("proxy_identity_failures_total") > 0);
  });
  after(async () => {
    for (const proxy of [certified, waiting, fromFiles, outside]) proxy.kill();
    files.remove();
    await component.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const adminOf = (proxy: ProxyProcess): string => `127.0.0.1:${proxy.adminPort}`;
  const asked = (...proxies: readonly ProxyProcess[]): string[] => proxies.flatMap((proxy) => ["--admin", adminOf(proxy)]);

  it("says certificate, roots, refreshes and the component of each", async () => {
    const proxies = [certified, waiting, fromFiles, outside];
    const { code, stdout, stderr } = await weft("diagnostics", "proxy-identity", ...asked(...proxies), "-o", "json");
    assert.deepEqual([code, stderr], [0, ""]);
    const told = JSON.parse(stdout) as Told[];
    assert.deepEqual(
      told.map(({ admin }) => admin),
      proxies.map(adminOf),
    );
    const [first, second, third, fourth] = told.map(({ identity }) => identity);
    const kept = JSON.parse(readFileSync(join(folder, "keep", "identity.json"), "utf8")) as { cert: string; key: string };
    const leaf = new X509Certificate(kept.cert);
    assert.equal(first!.name, WEB);
    assert.equal(first!.state, "valid");
    assert.equal(first!.controller, `127.0.0.1:${component.controller.port}`);
    assert.equal(first!.certificate!.fingerprint, hex(leaf));
    assert.equal(first!.certificate!.notAfter, leaf.validToDate.toISOString());
    const root = new X509Certificate(component.bundle);
    assert.deepEqual(
      first!.roots.map(({ fingerprint, notAfter }) => ({ fingerprint, notAfter })),
      [{ fingerprint: hex(root), notAfter: root.validToDate.toISOString() }],
    );
    assert.equal(first!.trustVersion, 1);
    assert.deepEqual(first!.refreshes, { ok: 1, failed: 0 });
    assert.equal(first!.lastFailure, null);

    assert.equal(second!.name, WEB);
    assert.equal(second!.state, "waiting");
    assert.equal(second!.certificate, null);
    assert.deepEqual(second!.roots, []);
    assert.equal(second!.lastFailure!.reason, "unreachable");
    assert.match(second!.lastFailure!.message, /ECONNREFUSED/);
    assert.ok(second!.failedAttempts >= 1 && second!.refreshes.failed >= 1);
    assert.ok(Math.abs(Date.parse(second!.lastFailure!.at) - Date.now()) < 120_000);

    assert.deepEqual(
      [first, second, third].map((one) => one!.isControllerReached),
      [true, false, null],
    );
    assert.deepEqual([third!.name, third!.state, third!.controller], [SERVER_NAME, "valid", null]);
    assert.equal(fourth, null);

    const secrets = [...token.split("."), ...kept.key.split("\n").filter((line) => line !== "" && !line.startsWith("---")), "PRIVATE KEY"];
    for (const secret of secrets) assert.ok(!stdout.includes(secret), `${secret} is shown`);
  });

  it("is a table for people, with what failed below it", async () => {
    const { code, stdout } = await weft("dg", "proxy-identity", ...asked(certified, waiting, fromFiles, outside));
    assert.equal(code, 0);
    const rows = stdout.split("\n").map((line) => line.split(/ {2,}/));
    assert.deepEqual(rows[0], ["ADMIN", "IDENTITY", "CERTIFICATE", "ENDS", "NEXT", "REFRESHES", "FAILED", "COMPONENT"]);
    const [admin, name, state, ends, next, refreshes, failed, controller] = rows[1]!;
    assert.deepEqual(
      [admin, name, state, refreshes, failed, controller],
      [adminOf(certified), WEB, "valid", "1", "0", `127.0.0.1:${component.controller.port}`],
    );
    assert.match(ends!, /^in (?:1d|23h)/);
    assert.match(next!, /^in 1[3-6]h/);
    assert.deepEqual(rows[2]!.slice(0, 4), [adminOf(waiting), WEB, "waiting", "-"]);
    assert.match(rows[2]!.at(-1)!, /^127\.0\.0\.1:\d+ \(not reached\)$/);
    assert.deepEqual(rows[3]!.slice(0, 3), [adminOf(fromFiles), SERVER_NAME, "valid"]);
    assert.equal(rows[3]!.at(-1), "files");
    assert.deepEqual(rows[4]!.slice(0, 3), [adminOf(outside), "-", "in no mesh"]);
    assert.match(
      stdout,
      new RegExp(`\n${adminOf(certified)} +CN=weft root [0-9a-f]{8} +${hex(new X509Certificate(component.bundle))} +in 36[45]d`),
    );
    assert.match(
      stdout,
      new RegExp(`\n${adminOf(waiting)}: last failure \\d+s ago \\(\\d+ failed in a row\\): unreachable: connect ECONNREFUSED`),
    );
  });

  it("one that cannot be asked fails the command, and the others are shown", async () => {
    const [nobody] = await freePorts(1);
    const page = createServer((_, response) => response.end("<html>"));
    const others = [
      {},
      { identity: { name: 1 } },
      { identity: { name: null, state: "valid", source: "files", roots: [{}], failedAttempts: 0 } },
    ];
    const liars = others.map((body) => createServer((_, response) => response.end(JSON.stringify(body))));
    const liarPorts: number[] = [];
    for (const liar of liars) {
      await new Promise<void>((resolve) => liar.listen(0, "127.0.0.1", resolve));
      liarPorts.push((liar.address() as AddressInfo).port);
    }
    await new Promise<void>((resolve) => page.listen(0, "127.0.0.1", resolve));
    const stranger = `127.0.0.1:${(page.address() as AddressInfo).port}`;
    try {
      const args = ["--admin", `127.0.0.1:${nobody}`, "--admin", stranger, ...asked(certified)];
      const { code, stdout, stderr } = await weft("diagnostics", "proxy-identity", ...args);
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`the admin port 127\\.0\\.0\\.1:${nobody} cannot be asked: .*ECONNREFUSED`));
      assert.match(stderr, new RegExp(`${stranger} is no proxy's admin port: its answer is no JSON`));
      assert.match(stdout, new RegExp(`\n${adminOf(certified)} +${WEB} +valid `));
      const lies = await weft("diagnostics", "proxy-identity", ...liarPorts.flatMap((port) => ["--admin", `127.0.0.1:${port}`]));
      assert.deepEqual([lies.code, lies.stdout], [1, ""]);
      assert.match(lies.stderr, new RegExp(`${liarPorts[0]} says nothing of an identity`));
      for (const port of liarPorts.slice(1))
        assert.match(lies.stderr, new RegExp(`${port} says of its identity what this command does not understand`));
      const wrong = await weft("diagnostics", "proxy-identity", "--admin", "nowhere");
      assert.deepEqual([wrong.code, wrong.stdout], [1, ""]);
      assert.match(wrong.stderr, /--admin: "nowhere": it has no port; did you mean nowhere:4191\?\n/);
    } finally {
      for (const server of [page, ...liars]) server.close();
    }
  });
});
