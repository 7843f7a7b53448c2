// A mesh in which everything has expired, and its repair: a real component with lives of seconds, two proxies with traffic between them, the component
// gone until after its root's end; then `weft identity recover`, the component again, and both proxies join by themselves, without a restart.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { once, request } from "../support/client.ts";
import { startApp } from "../support/origin-app.ts";
import { freePorts } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { waitUntil } from "../support/wait.ts";
import { type Running, startComponent, stopComponent, weft } from "./identity-support.ts";

const WEB = "web.shop.serviceaccount.identity.weft.cluster.local";

/** The shortest that a busy machine can do with: a leaf that is renewed twice in its life, and three of them in an issuer's, three issuers in a root's. */
const LIVES = ["--leaf-lifetime", "5s", "--issuer-lifetime", "15s", "--root-lifetime", "45s", "--propagation", "1s", "--clock-skew", "0s"];

/** The root's end, and what a busy machine needs until everybody has noticed. */
const LONG_MS = 90_000;

let folder: string;
let app: Awaited<ReturnType<typeof startApp>>;
const components: Running[] = [];
let way: Way | null = null;
const proxies: ProxyProcess[] = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-recover-mesh-"));
  app = await startApp({ name: "web" });
});
after(async () => {
  for (const one of components) one.process.kill("SIGKILL");
  way?.close();
  for (const proxy of proxies) proxy.kill();
  await app.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function serve(...args: Parameters<typeof startComponent>): Promise<Running> {
  const component = await startComponent(...args);
  components.push(component);
  return component;
}

async function begin(options: Parameters<typeof ProxyProcess.start>[0]): Promise<ProxyProcess> {
  const proxy = await ProxyProcess.begin(options);
  proxies.push(proxy);
  await waitUntil("readiness", () => proxy.isReady(), LONG_MS);
  return proxy;
}

/** The way between the two proxies, which can be cut: one connection between them stays open for long, and would outlive every certificate. */
class Way {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(to: number) {
    this.#server = createServer((near) => {
      const far = connect(to, "127.0.0.1");
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on("error", () => undefined);
        socket.once("close", () => {
          this.#sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
  }

  /** Resolves to its port. */
  async open(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}

interface Status {
  readonly state: string;
  readonly certificate: { readonly notAfter: string; readonly fingerprint: string };
  readonly roots: readonly { readonly fingerprint: string }[];
}

/** Fingerprints of the component's bundle, and of the one root in it that is good now: one that has ended stays for a while, should the clock be wrong. */
function bundleOf(data: string): { readonly all: readonly string[]; readonly good: string } {
  const roots = readFileSync(join(data, "bundle.pem"), "utf8")
    .match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g)!
    .map((pem) => new X509Certificate(pem));
  const hex = ({ fingerprint256 }: X509Certificate): string => fingerprint256.replaceAll(":", "").toLowerCase();
  const good = roots.filter(({ validToDate }) => validToDate.getTime() > Date.now());
  assert.equal(good.length, 1);
  return { all: roots.map(hex), good: hex(good[0]!) };
}

async function identityOf(proxy: ProxyProcess): Promise<Status> {
  return (await proxy.stats())["identity"] as Status;
}

it("a mesh in which root, issuer and leaves are over, and its tokens are worth nothing, comes back by one command and the component's start; no proxy restarts", async () => {
  const data = join(folder, "data");
  const tokens = join(folder, "tokens");
  mkdirSync(tokens, { mode: 0o700 });
  const [port] = await freePorts(1);
  const controller = `127.0.0.1:${port}`;
  let component = await serve(data, controller, ...LIVES);
  const tokenFile = (name: string): string => join(tokens, `shop.${name}.token`);
  for (const name of ["web", "client"]) {
    const made = await weft(
      "identity",
      "token",
      "create",
      "--name",
      name,
      "--namespace",
      "shop",
      "--data",
      data,
      "--file",
      tokenFile(name),
      "--ttl",
      "120s",
    );
    assert.deepEqual(made, { code: 0, stdout: "", stderr: "" });
  }
  const server = await begin({
    services: {},
    identity: { controller, token: tokenFile("web") },
    inbound: { target: app.address, policy: "all-authenticated" },
  });
  way = new Way(server.listener("inbound"));
  const endpoints = [`127.0.0.1:${await way.open()}`];
  const client = await begin({
    services: { web: { endpoints, identity: WEB } },
    identity: { controller, token: tokenFile("client") },
  });
  const ask = async (): Promise<number> => (await once(client.port, request("GET", "/name"))).status;
  await waitUntil("an answer through the mesh", async () => (await ask()) === 200, LONG_MS);
  const pids = [server.pid, client.pid];

  // Gone without a word, until nothing of it is valid any more.
  await stopComponent(component, "SIGKILL");
  // Of all its roots: on a slow machine the second one was being distributed already.
  const { roots } = JSON.parse(readFileSync(join(data, "state.json"), "utf8")) as {
    readonly roots: readonly { readonly notAfterMs: number }[];
  };
  const endMs = Math.max(...roots.map(({ notAfterMs }) => notAfterMs));
  await waitUntil("the end of the root", () => Date.now() > endMs, LONG_MS);
  for (const proxy of [server, client])
    await waitUntil("the end of its certificate", async () => (await identityOf(proxy)).state === "ended", LONG_MS);
  way.cut();
  const refused = await waitUntil(
    "a refusal",
    async () => {
      const answer = await once(client.port, request("GET", "/name"));
      return answer.status !== 200 && answer;
    },
    LONG_MS,
  );
  assert.ok(refused.status === 502 || refused.status === 503, `${refused.status}`);
  const shown = await weft("identity", `127.0.0.1:${server.listener("inbound")}`, "--name", WEB, "--data", data);
  assert.equal(shown.code, 1);
  assert.match(shown.stdout, /EXPIRED/);
  // One that starts now has nothing, and waits for its first certificate.
  const late = await ProxyProcess.begin({ services: {}, identity: { controller, token: tokenFile("web") } });
  proxies.push(late);
  assert.equal(await late.isReady(), false);
  // The tokens are not over, and worth nothing: the root that they pin is. Ended ones are in identity-recover.test.ts.
  const inodes = ["web", "client"].map((name) => statSync(tokenFile(name)).ino);

  const lives = ["--root-lifetime", "365d", "--issuer-lifetime", "30d", "--ttl", "24h"];
  const recovered = await weft("identity", "recover", "--data", data, "--tokens", tokens, ...lives);
  assert.deepEqual([recovered.code, recovered.stderr], [0, ""]);
  for (const what of ["root", "issuer", "bundle"]) assert.match(recovered.stdout, new RegExp(`\n  done +${what} `), recovered.stdout);
  assert.equal(recovered.stdout.match(/\n {2}done +token /g)?.length, 2, recovered.stdout);
  assert.deepEqual(
    ["web", "client"].map((name) => statSync(tokenFile(name)).ino),
    inodes,
  );

  component = await serve(data, controller);
  for (const proxy of [server, client])
    await waitUntil("a new certificate", async () => (await identityOf(proxy)).state === "valid", LONG_MS);
  await waitUntil("an answer through the mesh", async () => (await ask()) === 200, LONG_MS);
  assert.deepEqual([server.pid, client.pid], pids);
  await waitUntil("the one that waited", () => late.isReady(), LONG_MS);
  assert.ok(!server.hasExited && !client.hasExited);

  // What the component trusts is what both trust, and what the server shows.
  const { all, good } = bundleOf(data);
  for (const proxy of [server, client]) {
    assert.deepEqual(
      (await identityOf(proxy)).roots.map(({ fingerprint }) => fingerprint),
      all,
    );
    assert.equal(proxy.log.split("the certificate has ended").length, 2);
  }
  const healed = await weft(
    "identity",
    `127.0.0.1:${server.listener("inbound")}`,
    "--admin",
    `127.0.0.1:${server.adminPort}`,
    "--data",
    data,
  );
  assert.deepEqual([healed.code, healed.stderr], [0, ""]);
  assert.match(healed.stdout, new RegExp(`Verified: {2}yes, by .*bundle\\.pem, root ${good}\n`));
  await stopComponent(component);
  for (const proxy of [late, client, server]) await proxy.stop();
});

it("a folder that is lost: another one, tokens of it in the same files, and proxies whose certificates are still good come over by themselves", async () => {
  const tokens = join(folder, "kept-tokens");
  mkdirSync(tokens, { mode: 0o700 });
  const [port] = await freePorts(1);
  const controller = `127.0.0.1:${port}`;
  const createTokens = async (data: string): Promise<void> => {
    for (const name of ["web", "client"]) {
      const file = join(tokens, `${name}.token`);
      const made = await weft("identity", "token", "create", "--name", name, "--namespace", "shop", "--data", data, "--file", file);
      assert.deepEqual(made, { code: 0, stdout: "", stderr: "" });
    }
  };
  const [lost, fresh] = [join(folder, "lost"), join(folder, "fresh")];
  await createTokens(lost);
  let component = await serve(lost, controller);
  const identity = (name: string) => ({ controller, token: join(tokens, `${name}.token`) });
  const server = await begin({ services: {}, identity: identity("web"), inbound: { target: app.address } });
  const endpoints = [`127.0.0.1:${server.listener("inbound")}`];
  const client = await begin({
    services: { web: { endpoints, identity: WEB } },
    identity: identity("client"),
  });
  const ask = async (): Promise<number> => (await once(client.port, request("GET", "/name"))).status;
  await waitUntil("an answer through the mesh", async () => (await ask()) === 200, LONG_MS);
  await stopComponent(component, "SIGKILL");
  rmSync(lost, { recursive: true });
  await createTokens(fresh);
  component = await serve(fresh, controller);
  const root = bundleOf(fresh).good;
  for (const proxy of [server, client]) {
    await waitUntil(
      "trust in the new root",
      async () => (await identityOf(proxy)).roots.every(({ fingerprint }) => fingerprint === root),
      LONG_MS,
    );
  }
  await waitUntil("an answer through the mesh", async () => (await ask()) === 200, LONG_MS);
  await stopComponent(component);
  for (const proxy of [client, server]) await proxy.stop();
});
