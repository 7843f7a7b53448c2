// A proxy that gets its certificates from the identity component: first, again, after restarts, while the component is away, when clocks jump.
//
// The component is Weft's own. An hour's story is made short by lives of a few seconds where a busy machine cannot break it, elsewhere by a
// clock that the test turns (POST /test/clock): what is due by it happens at once. What must have happened is waited for.
//
// Long because all of it needs the same component, tokens and proxies around it.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once as onceEmitted } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { RotationSettings } from "../../src/core/identity/rotation.ts";
import { IdentityComponent } from "../control/support/identity-component.ts";
import { Authority } from "../support/certificates.ts";
import { connect, once, request } from "../support/client.ts";
import { startApp } from "../support/origin-app.ts";
import { freePorts } from "../support/ports.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { waitUntil } from "../support/wait.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Several lives of a certificate on a busy machine. */
const LONG_MS = 60_000;

const SHORT: Partial<RotationSettings> = {
  leafLifetimeMs: 4_000,
  issuerLifetimeMs: HOUR_MS,
  rootLifetimeMs: DAY_MS,
  propagationMs: 1_000,
  skewMs: 1_000,
};

describe("a proxy's identity", () => {
  let web: Awaited<ReturnType<typeof startApp>>;
  let folder: string;
  let tokenFile: string;
  let component: IdentityComponent | null;
  let isAway: boolean;
  let proxies: ProxyProcess[];

  before(async () => {
    web = await startApp({ name: "web" });
  });
  after(() => web.stop());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "weft-identity-test-"));
    tokenFile = join(folder, "web.token");
    component = null;
    isAway = false;
    proxies = [];
  });
  afterEach(async () => {
    for (const proxy of proxies) proxy.kill();
    if (!isAway) await component?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A component on a port that it gets back when it is started again, and the token of a workload in its file. */
  async function startComponent(rotation: Partial<RotationSettings> = {}, use: "file" | "once" = "file"): Promise<IdentityComponent> {
    const [port] = await freePorts(1);
    component = await IdentityComponent.start({ listen: { host: "127.0.0.1", port: port! }, data: join(folder, "data"), rotation });
    writeFileSync(tokenFile, await component.token("web", use), { mode: 0o600 });
    return component;
  }

  async function leave(): Promise<void> {
    isAway = true;
    await component!.stop();
  }

  async function comeBack(): Promise<void> {
    await component!.start();
    isAway = false;
  }

  function options(controller: string, more: Readonly<Record<string, string>> = {}): ProxyOptions {
    return { services: { web: { endpoints: [web.address] } }, identity: { controller, token: tokenFile, ...more } };
  }

  const addressOf = ({ controller }: IdentityComponent) => `127.0.0.1:${controller.port}`;

  async function start(of: ProxyOptions): Promise<ProxyProcess> {
    const proxy = await ProxyProcess.start(of);
    proxies.push(proxy);
    return proxy;
  }

  async function begin(of: ProxyOptions): Promise<ProxyProcess> {
    const proxy = await ProxyProcess.begin(of);
    proxies.push(proxy);
    return proxy;
  }

  const refreshes = async (proxy: ProxyProcess) => (await proxy.metrics()).sum("control_identity_cert_refreshes_total", { result: "ok" });
  const failures = async (proxy: ProxyProcess, reason: string) => (await proxy.metrics()).sum("proxy_identity_failures_total", { reason });
  const kept = (keep: string) => JSON.parse(readFileSync(join(keep, "identity.json"), "utf8")) as { cert: string; trust: string };

  /** The proxy's clock is wrong by so much from now on. */
  async function setClock(proxy: ProxyProcess, offsetMs: number): Promise<void> {
    assert.equal((await proxy.admin("/test/clock", "POST", String(offsetMs))).status, 204);
  }

  async function answers(proxy: ProxyProcess): Promise<void> {
    assert.equal((await once(proxy.port, request("GET", "/name"))).status, 200);
  }

  it("is waited for: not ready, nothing served, and the log says for what", async () => {
    const [port] = await freePorts(1);
    component = await IdentityComponent.start({ listen: { host: "127.0.0.1", port: port! }, data: join(folder, "data") });
    writeFileSync(tokenFile, await component.token());
    await leave();
    const proxy = await begin(options(`127.0.0.1:${port}`));
    await waitUntil("a failure", async () => (await failures(proxy, "unreachable")) > 1);
    assert.deepEqual(await proxy.admin("/ready"), { status: 503, body: "not ready\n" });
    assert.match(proxy.log, new RegExp(`"controller":"127.0.0.1:${port}","identity":"${NAME}","msg":"waiting for the first certificate"`));
    assert.match(proxy.log, /"reason":"unreachable".*"msg":"there is no certificate"/);
    const waiting = once(proxy.port, request("GET", "/name"), {});
    await comeBack();
    // Who came too early was not refused.
    assert.equal((await waiting).status, 200);
    await waitUntil("readiness", () => proxy.isReady());
    const metrics = await proxy.metrics();
    assert.equal(metrics.sum("control_identity_cert_refreshes_total", { result: "ok" }), 1);
    const endsS = metrics.sum("control_identity_cert_expiration_timestamp_seconds");
    assert.ok(Math.abs(endsS - Date.now() / 1000 - 86_420) < 60, `${endsS}`);
    await proxy.stop();
  });

  it("a proxy that waits for it can be told to stop", async () => {
    const [port] = await freePorts(1);
    const proxy = await begin({ ...options(`127.0.0.1:${port}`), environment: {} });
    await waitUntil("the wait", () => proxy.log.includes("there is no certificate"));
    assert.match(
      proxy.log,
      /the token file .*web\.token cannot be read: ENOENT, it is not there; make one .*weft identity token create --data/,
    );
    proxy.signal("SIGTERM");
    await waitUntil("its end", () => proxy.hasExited);
    assert.equal(proxy.exitCode, 0);
  });

  it("shows no token and no key, neither to those who ask nor in logs, and takes the token from the environment too", async () => {
    await startComponent();
    const token = readFileSync(tokenFile, "utf8");
    const keep = join(folder, "keep");
    const identity = { controller: addressOf(component!), keep };
    const proxy = await start({ ...options("", {}), identity, environment: { WEFT_IDENTITY_TOKEN: token } });
    await answers(proxy);
    assert.equal((await proxy.admin("/proxy-log-level", "PUT", "trace")).status, 204);
    // A reload shows the configuration again; a token that is refused is an error with a message.
    await leave();
    await proxy.reconfigure({ ...proxy.options, identity: { ...identity, controller: "127.0.0.1:9" } });
    const shown = await Promise.all(["/env.json", "/config.json", "/stats.json", "/metrics", "/ready"].map((path) => proxy.admin(path)));
    assert.equal((JSON.parse(shown[0]!.body) as Record<string, string>).WEFT_IDENTITY_TOKEN, "(hidden)");
    const everything = [proxy.log, ...shown.map(({ body }) => body)].join("\n");
    const key = (JSON.parse(readFileSync(join(keep, "identity.json"), "utf8")) as { key: string }).key;
    const secrets = [...token.split("."), ...key.split("\n").filter((line) => line !== "" && !line.startsWith("---")), "PRIVATE KEY"];
    for (const secret of secrets) assert.ok(!everything.includes(secret), `${secret} is shown`);
    await proxy.stop();
  });

  it("a component that is not the token's gets not one byte, whatever it shows", async () => {
    const real = await startComponent();
    const stranger = new Authority("stranger");
    const { cert, key } = stranger.issue({ names: ["identity.weft.serviceaccount.identity.weft.cluster.local"], usages: ["server"] });
    // It knows the real root, which is public, and shows it beside its own chain.
    for (const chain of [cert, cert + stranger.cert, cert + stranger.cert + real.bundle]) {
      let bytes = 0;
      let handshakes = 0;
      const server = createTlsServer({ cert: chain, key, ALPNProtocols: ["h2"] }, (socket) => {
        handshakes++;
        socket.on("data", (data) => (bytes += data.length)).on("error", () => undefined);
      });
      server.on("tlsClientError", () => handshakes++);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const proxy = await begin(options(`127.0.0.1:${(server.address() as { port: number }).port}`));
      await waitUntil("refusals", async () => (await failures(proxy, "untrusted")) >= 2);
      assert.ok(handshakes >= 2);
      assert.equal(bytes, 0);
      assert.equal((await proxy.admin("/ready")).status, 503);
      assert.match(proxy.log, /"reason":"untrusted"/);
      proxy.kill();
      server.close();
    }
  });

  it("a component that speaks no TLS, or is silent, is said to be so", async () => {
    await startComponent();
    const server = createTcpServer((socket) => socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const proxy = await begin(options(`127.0.0.1:${(server.address() as { port: number }).port}`));
    await waitUntil("a refusal", async () => (await failures(proxy, "untrusted")) >= 1);
    assert.match(proxy.log, /its certificate does not verify: (?:ERR_SSL|EPROTO)/);
    server.close();
  });

  it("renews itself by its certificate again and again: no request fails, no connection closes", async () => {
    const { controller } = await startComponent({}, "once");
    const proxy = await start(options(`127.0.0.1:${controller.port}`));
    const lasting = await connect(proxy.port);
    let renewals = 0;
    let isDone = false;
    let answered = 0;
    const load = (async () => {
      for (; !isDone; answered++) {
        await lasting.send(request("GET", "/name"));
        assert.equal((await lasting.expectResponse()).status, 200);
      }
    })();
    // Of 24 hours; the next ones have what is left of them.
    for (const hours of [17, 22.5, 23.6]) {
      await setClock(proxy, hours * HOUR_MS);
      renewals++;
      await waitUntil("a renewal", async () => (await refreshes(proxy)) === 1 + renewals, LONG_MS);
    }
    const then = answered;
    await waitUntil("answers after it", () => answered > then + 10);
    isDone = true;
    await load;
    assert.ok(!lasting.isClosed && !lasting.isEnded);
    lasting.destroy();
    const issued = (await component!.admin("GET", "/metrics")).text;
    assert.match(issued, /identity_certificates_issued_total\{by="token"\} 1\n/);
    assert.match(issued, /identity_certificates_issued_total\{by="certificate"\} 3\n/);
    assert.equal((await proxy.metrics()).sum("control_identity_cert_refreshes_total", { result: "error" }), 0);
    await proxy.stop();
  });

  it("goes on without the component, says it when the certificate ends, and recovers by itself", async () => {
    await startComponent(SHORT);
    const proxy = await start(options(addressOf(component!)));
    await leave();
    await answers(proxy);
    await waitUntil("the end", () => proxy.log.includes("the certificate has ended"), LONG_MS);
    assert.equal(proxy.log.split("the certificate has ended").length, 2);
    const metrics = await proxy.metrics();
    assert.ok(metrics.sum("control_identity_cert_expiration_timestamp_seconds") * 1000 < Date.now());
    // What needs no identity goes on.
    await answers(proxy);
    assert.ok(await proxy.isReady());
    await comeBack();
    await waitUntil("a new certificate", async () => (await refreshes(proxy)) >= 2, LONG_MS);
    const again = await proxy.metrics();
    assert.ok(again.sum("control_identity_cert_expiration_timestamp_seconds") * 1000 > Date.now());
    await waitUntil("the trust stream", () => proxy.log.includes("the trust stream is back"), LONG_MS);
    for (const said of ["broke", "is back"]) {
      assert.equal(proxy.log.match(new RegExp(`"level":"info".*"msg":"the trust stream ${said}"`, "g"))?.length, 1, said);
    }
    await proxy.stop();
  });

  it("resumes renewals when the component was away for longer than two thirds of a life", async () => {
    await startComponent({ ...SHORT, leafLifetimeMs: 300_000 }, "once");
    const proxy = await start(options(addressOf(component!)));
    await leave();
    await setClock(proxy, 215_000);
    await waitUntil("attempts", async () => (await failures(proxy, "unreachable")) >= 1, LONG_MS);
    assert.match(proxy.log, /"level":"warn".*"reason":"unreachable".*"notAfter".*"msg":"the certificate was not renewed"/);
    await answers(proxy);
    await comeBack();
    await waitUntil("a renewal", async () => (await refreshes(proxy)) >= 2, LONG_MS);
    assert.ok(!proxy.log.includes("the certificate has ended"));
    await proxy.stop();
  });

  it("survives a restart while the component is away, and a printed token is not needed again", async () => {
    await startComponent({}, "once");
    const keep = join(folder, "keep");
    const of = options(addressOf(component!), { keep });
    const first = await start(of);
    await first.stop();
    const { cert } = kept(keep);
    await leave();
    rmSync(tokenFile);
    const second = await start(of);
    assert.match(second.log, /the kept certificate serves/);
    assert.equal(await refreshes(second), 0);
    await answers(second);
    assert.equal(kept(keep).cert, cert);
    await second.stop();
  });

  it("renews what it kept by that certificate", async () => {
    await startComponent({}, "once");
    const keep = join(folder, "keep");
    const of = options(addressOf(component!), { keep });
    const first = await start(of);
    first.signal("SIGKILL");
    await waitUntil("its end", () => first.hasExited);
    const { cert } = kept(keep);
    const second = await start(of);
    assert.match(second.log, /the kept certificate serves/);
    await setClock(second, 17 * HOUR_MS);
    await waitUntil("a renewal", () => kept(keep).cert !== cert, LONG_MS);
    assert.equal((await second.metrics()).sum("control_identity_cert_refreshes_total", { result: "error" }), 0);
    await second.stop();
  });

  it("a component that moves is followed by a reload, with the certificate in use: a printed token is not needed again", async () => {
    await startComponent({}, "once");
    const of = options(addressOf(component!));
    const proxy = await start(of);
    await component!.remove();
    isAway = true;
    const other = await startComponent();
    isAway = false;
    await proxy.reconfigure({ ...of, identity: { ...of.identity, controller: addressOf(other) } });
    await setClock(proxy, 17 * HOUR_MS);
    await waitUntil("a renewal", async () => (await refreshes(proxy)) === 2, LONG_MS);
    assert.match((await other.admin("GET", "/metrics")).text, /identity_certificates_issued_total\{by="certificate"\} 1\n/);
    assert.ok(!proxy.log.includes("there is no certificate"));
    await proxy.stop();
  });

  it("does not start with a folder for keys that others may look into", async () => {
    await startComponent();
    const keep = join(folder, "keep");
    mkdirSync(keep);
    chmodSync(keep, 0o755);
    const error = await ProxyProcess.start(options(addressOf(component!), { keep })).then(
      () => "",
      ({ message }: Error) => message,
    );
    assert.match(error, /the proxy ended with 1/);
    assert.ok(error.includes(`weft proxy: ${keep} is open to other users (mode 755): chmod 700 ${keep}`), error);
  });

  it("three replicas start, renew and restart with one token file", async () => {
    await startComponent();
    const of = options(addressOf(component!));
    const replicas: ProxyProcess[] = [];
    for (let i = 0; i < 3; i++) replicas.push(await start(of));
    for (const replica of replicas) await setClock(replica, 17 * HOUR_MS);
    for (const replica of replicas) await waitUntil("a renewal", async () => (await refreshes(replica)) === 2, LONG_MS);
    for (const replica of replicas) {
      await replica.stop();
      const again = await start(of);
      assert.match(again.log, /"by":"token".*"msg":"the first certificate"/);
      await again.stop();
    }
    const issued = (await component!.admin("GET", "/metrics")).text;
    assert.match(issued, /identity_certificates_issued_total\{by="token"\} 6\n/);
    assert.match(issued, /identity_certificates_issued_total\{by="certificate"\} 3\n/);
  });

  it("trusts new roots at once, before its own certificate is below them, and drops the old one", async () => {
    await startComponent({ ...SHORT, leafLifetimeMs: 12_000, propagationMs: 3_000 });
    const keep = join(folder, "keep");
    const proxy = await start(options(addressOf(component!), { keep }));
    const version = async () => (await proxy.metrics()).sum("proxy_identity_trust_version");
    const before = await version();
    const issuers = () =>
      kept(keep)
        .cert.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)!
        .map((pem) => new X509Certificate(pem).issuer);
    const roots = () => kept(keep).trust.split("BEGIN").length - 1;
    const oldRoot = issuers().at(-1)!;
    const rotated = await component!.admin("POST", "/identity/rotate?what=root", "", component!.authorization);
    assert.equal(rotated.status, 200, rotated.text);
    await waitUntil("two roots", () => roots() === 2, LONG_MS);
    assert.equal(issuers().at(-1), oldRoot);
    assert.ok((await version()) > before);
    await waitUntil("a certificate below the new root", () => issuers().at(-1) !== oldRoot, LONG_MS);
    await waitUntil("the end of the old root", () => roots() === 1, LONG_MS);
    const then = await refreshes(proxy);
    await waitUntil("a renewal after it", async () => (await refreshes(proxy)) > then, LONG_MS);
    assert.ok(!proxy.log.includes("the certificate has ended"));
    await proxy.stop();
  });

  it("a clock that jumps by a day is said once each time, and what is valid stays in use", async () => {
    await startComponent();
    const proxy = await start(options(addressOf(component!)));
    const lasting = await connect(proxy.port);
    let jumps = 0;
    for (const offsetMs of [-DAY_MS, 0, DAY_MS, 0]) {
      await setClock(proxy, offsetMs);
      jumps++;
      assert.equal((await proxy.metrics()).sum("proxy_clock_jumps_total"), jumps);
      assert.equal(proxy.log.split("the clock jumped").length - 1, jumps);
      await lasting.send(request("GET", "/name"));
      assert.equal((await lasting.expectResponse()).status, 200);
      assert.ok(await proxy.isReady());
    }
    lasting.destroy();
    await proxy.stop();
  });

  it("two proxies that got their certificates meet by mesh TLS; renewals reach new connections and close none", async () => {
    await startComponent();
    const clientToken = join(folder, "client.token");
    writeFileSync(clientToken, await component!.token("client"), { mode: 0o600 });
    const controller = addressOf(component!);
    const server = await start({ services: {}, identity: { controller, token: tokenFile }, inbound: { target: web.address } });
    const inbound = server.listener("inbound");
    const client = await start({
      services: { web: { endpoints: [`127.0.0.1:${inbound}`], identity: NAME } },
      identity: { controller, token: clientToken },
    });
    const lasting = await connect(client.port);
    const ask = async () => {
      await lasting.send(request("GET", "/name"));
      assert.equal((await lasting.expectResponse()).status, 200);
    };
    await ask();
    const ca = component!.bundle;
    const before = await shownBy(inbound, ca);
    for (const hours of [17, 22.5]) {
      for (const proxy of [server, client]) {
        const then = await refreshes(proxy);
        await setClock(proxy, hours * HOUR_MS);
        await waitUntil("a renewal", async () => (await refreshes(proxy)) > then, LONG_MS);
        await ask();
      }
    }
    await waitUntil("the new certificate", async () => (await shownBy(inbound, ca)) !== before);
    const mesh = { peer: "dst", tls: "true", server_id: NAME };
    const metrics = await client.metrics();
    assert.equal(metrics.sum("tcp_open_total", mesh), 1);
    assert.equal(metrics.sum("tcp_close_total", mesh), 0);
    const seen = { peer: "src", tls: "true", client_id: NAME.replace("web", "client") };
    assert.equal((await server.metrics()).sum("tcp_open_total", seen), 1);
    lasting.destroy();
    await client.stop();
    await server.stop();
  });

  /** Fingerprint of the certificate that new connections meet, verified. */
  async function shownBy(port: number, ca: string): Promise<string> {
    const socket = connectTls({ port, host: "127.0.0.1", ca, servername: NAME });
    await onceEmitted(socket, "secureConnect");
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  }
});
