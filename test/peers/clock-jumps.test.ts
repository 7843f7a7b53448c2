// Wall clocks that jump by a day, for one proxy and for all of the mesh, under load: noticed and logged once, nothing that is valid breaks,
// and what is not valid any more, or not yet, is made anew by itself.
//
// The clocks are real ones as far as a process can tell (libfaketime): Date jumps, and OpenSSL judges certificates by it.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { once, request } from "../support/client.ts";
import { IdentityProcess } from "../support/identity-process.ts";
import { meshName } from "../support/mesh-certificates.ts";
import { LoadServices, MeshLoad } from "../support/mesh-load.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { waitUntil } from "../support/wait.ts";
import { OtherClock } from "./support/other-clock.ts";

const DAY_S = 86_400;
/** The clocks are compared every 5 s; a busy machine takes its time. */
const LONG_MS = 60_000;
/** Inbound ports that nobody has spoken to yet: the first request to each is a handshake. */
const FRESH = ["fresh-0", "fresh-1", "fresh-2", "fresh-3", "fresh-4"];

describe("a clock that jumps by a day", () => {
  let folder: string;
  let clocks: { component: OtherClock; server: OtherClock; client: OtherClock };
  let services: LoadServices;
  let component: IdentityProcess;
  let server: ProxyProcess;
  let client: ProxyProcess;
  let load: MeshLoad;
  let fresh: number;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "weft-jumps-"));
    clocks = { component: new OtherClock(), server: new OtherClock(), client: new OtherClock() };
    fresh = 0;
  });
  afterEach(async () => {
    load.destroy();
    for (const one of [client, server]) one.kill();
    component.kill();
    await services.stop();
    for (const clock of Object.values(clocks)) clock.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(leafLifetime: string): Promise<void> {
    services = await LoadServices.start();
    component = await IdentityProcess.start({
      args: ["--leaf-lifetime", leafLifetime],
      environment: clocks.component.environment,
    });
    const identity = async (name: string) => {
      writeFileSync(join(folder, name), await component.token(name, 30 * DAY_S), { mode: 0o600 });
      return { controller: component.address, token: join(folder, name) };
    };
    const limits = { idleTimeoutMs: 3_600_000, upstreamIdleTimeoutMs: 3_600_000 };
    const ports = Object.fromEntries(FRESH.map((name) => [name, { target: services.web.address }]));
    server = await ProxyProcess.start({
      ...{ services: {}, limits, identity: await identity("web"), environment: clocks.server.environment },
      inbound: { target: services.web.address, ports: { ...services.targets, ...ports } },
    });
    const names = ["web", "echo", "sockets", ...FRESH];
    const at = (name: string) => ({ endpoints: [`127.0.0.1:${server.listener(name)}`], identity: meshName("web") });
    client = await ProxyProcess.start({
      ...{ limits, identity: await identity("client"), environment: clocks.client.environment },
      services: Object.fromEntries(names.map((name) => [name, at(name)])),
      listeners: { "to-echo": { service: "echo", protocol: "opaque" } },
    });
    load = await MeshLoad.start(client);
    await load.goesOn();
  }

  const jumps = async (proxy: ProxyProcess): Promise<number> => (await proxy.metrics()).sum("proxy_clock_jumps_total");
  const renewals = async (proxy: ProxyProcess): Promise<number> =>
    (await proxy.metrics()).sum("control_identity_cert_refreshes_total", { result: "ok" });
  const lines = (proxy: ProxyProcess): number => proxy.log.split("the clock jumped").length - 1;

  /** Sets clocks, and waits until each has been noticed, logged once, and nothing of the load has suffered. */
  async function jump(toS: number, ...proxies: readonly ProxyProcess[]): Promise<void> {
    const before = await Promise.all(proxies.map(jumps));
    for (const proxy of proxies) (proxy === server ? clocks.server : clocks.client).set(toS);
    for (const [index, proxy] of proxies.entries()) {
      await waitUntil("the jump to be noticed", async () => (await jumps(proxy)) > before[index]!, LONG_MS);
      await waitUntil("its line", () => lines(proxy) > before[index]!);
      assert.equal(await jumps(proxy), before[index]! + 1);
      assert.equal(lines(proxy), before[index]! + 1);
      assert.ok(await proxy.isReady());
    }
    await load.goesOn();
  }

  async function jumpComponent(toS: number): Promise<void> {
    const before = component.times("the clock has jumped");
    clocks.component.set(toS);
    await waitUntil("the component to notice", () => component.times("the clock has jumped") > before, LONG_MS);
  }

  /** One request over a new connection of the mesh. */
  async function newConnection(): Promise<number> {
    const name = FRESH[fresh];
    assert.ok(name !== undefined, "no port is left that nobody has spoken to");
    return (await once(client.port, request("GET", "/name", { Host: name }))).status;
  }

  /** A new connection works, sooner or later. */
  async function heals(): Promise<void> {
    await waitUntil("a new connection of the mesh", async () => (await newConnection()) === 200, LONG_MS);
    fresh++;
    await load.goesOn();
  }

  async function end(): Promise<void> {
    await load.stop();
    services.assertNoneClosed();
    const outbound = await client.metrics();
    assert.equal(outbound.sum("tcp_close_total", { peer: "dst", tls: "true" }), 0);
    assert.equal((await server.metrics()).sum("tcp_close_total", { peer: "src", tls: "true", client_id: meshName("client") }), 0);
    load.destroy();
    await client.stop();
    await server.stop();
    await component.stop();
  }

  it("changes nothing while certificates live for days: requests, tunnels and new connections go on", { timeout: 600_000 }, async () => {
    await start("72h");
    for (const proxy of [client, server]) {
      await jump(DAY_S, proxy);
      assert.equal(await newConnection(), 200, "a handshake by the other clock");
      fresh++;
      await jump(0, proxy);
      // By this clock nobody's certificate is valid yet: what is open stays, and new connections wait for the clock.
      await jump(-DAY_S, proxy);
      await jump(0, proxy);
      assert.equal(await newConnection(), 200);
      fresh++;
    }
    await jumpComponent(DAY_S);
    await jump(DAY_S, client, server);
    assert.equal(await newConnection(), 200, "all clocks a day ahead");
    fresh++;
    await end();
  });

  it("that ends all certificates ends no connection; new ones come by themselves, and again when all clocks go back", {
    timeout: 600_000,
  }, async () => {
    await start("23h");
    const first = [await renewals(client), await renewals(server)] as const;
    await jumpComponent(DAY_S);
    await jump(DAY_S, client, server);
    await waitUntil("new certificates", async () => (await renewals(client)) > first[0] && (await renewals(server)) > first[1], LONG_MS);
    await heals();
    const ahead = [await renewals(client), await renewals(server)] as const;
    await jumpComponent(0);
    await jump(0, client, server);
    await waitUntil(
      "certificates that begin before now",
      async () => (await renewals(client)) > ahead[0] && (await renewals(server)) > ahead[1],
      LONG_MS,
    );
    await heals();
    await end();
  });
});
