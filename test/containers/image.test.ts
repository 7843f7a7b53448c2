// The image: what is in it, who it runs as, what it needs, how large it is, how fast it is there.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { waitUntil } from "../support/wait.ts";
import { BASE_IMAGE, Containers, engine, inspect, ok, ROOT, run, startedAtMs, WEFT_IMAGE } from "./support/engine.ts";

/** Bytes above the base image that Weft may take. */
const OWN_BYTES_MAX = 45_000_000;
const READY_MS_MAX = 1_000;
/** Whoever else keeps this machine busy makes a start slower, never faster: one of so many must be as fast. */
const STARTS_MAX = 20;
/** A container is there for sure after so long, however busy the machine. */
const PATIENCE_MS = 60_000;
const CONFINED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
const proxyConfig = (origin: string): string => `
apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: alone}
spec:
  workers: 1
  outbound: {listen: "0.0.0.0:4140", default: web}
  admin: {listen: "0.0.0.0:4191"}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web}
spec:
  endpoints: [{address: "${origin}"}]
`;

async function get(address: string, port: number, path: string): Promise<number> {
  try {
    return (await fetch(`http://${address}:${port}${path}`)).status;
  } catch {
    return 0;
  }
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly dev?: boolean }>>;
}

describe("the image", () => {
  const containers = new Containers();
  after(() => containers.remove());

  /** A proxy that may do as little as the engine can let it. */
  async function startProxy(origin = "127.0.0.1:9"): Promise<{ name: string; address: string }> {
    const name = await containers.start(WEFT_IMAGE, [...CONFINED, "--env", `WEFT_CONFIG=${proxyConfig(origin)}`], ["proxy"]);
    return { name, address: await inspect(name, ".NetworkSettings.IPAddress") };
  }

  async function untilReady({ name, address }: { name: string; address: string }): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      if ((await get(address, 4191, "/ready")) === 200) return true;
      if ((await inspect(name, ".State.Running")) === "true") return false;
      throw new Error(`the proxy ended: ${await engine("logs", name)}`);
    };
    await waitUntil("the proxy to be ready", isReady, PATIENCE_MS);
  }

  it("takes at most 45 MB above its base", async (context) => {
    const [weft, base] = [Number(await inspect(WEFT_IMAGE, ".Size")), Number(await inspect(BASE_IMAGE, ".Size"))];
    context.diagnostic(
      `image ${(weft / 1e6).toFixed(1)} MB, base ${(base / 1e6).toFixed(1)} MB, Weft ${((weft - base) / 1e6).toFixed(1)} MB`,
    );
    assert.ok(weft > base);
    assert.ok(weft - base <= OWN_BYTES_MAX, `${weft - base} bytes`);
  });

  it("has the versions of package-lock.json, and nothing that is for development", async () => {
    const inside = JSON.parse(
      await engine("run", "--rm", "--entrypoint", "cat", WEFT_IMAGE, "/weft/node_modules/.package-lock.json"),
    ) as Lock;
    const { packages: wanted } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as Lock;
    const names = Object.keys(inside.packages);
    assert.ok(names.includes("node_modules/koffi"));
    assert.deepEqual(
      names.filter((name) => inside.packages[name]!.version !== wanted[name]?.version || wanted[name]?.dev === true),
      [],
    );
  });

  it("runs as a user without rights, on a root that cannot be written, without capabilities", async () => {
    const script = 'require("node:http").createServer((_, response) => response.end("here")).listen(8080)';
    const origin = await containers.start(BASE_IMAGE, [], ["node", "-e", script]);
    const proxy = await startProxy(`${await inspect(origin, ".NetworkSettings.IPAddress")}:8080`);
    const { name, address } = proxy;
    await untilReady(proxy);
    assert.equal(await engine("exec", name, "id", "-u"), "2102");
    const status = await engine("exec", name, "cat", "/proc/1/status");
    assert.match(status, /^Uid:\s+2102\s+2102\s+2102\s+2102$/m);
    for (const set of ["CapPrm", "CapEff", "CapBnd", "CapAmb"]) assert.match(status, new RegExp(`^${set}:\\s+0+$`, "m"));
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    const written = await run("podman", ["exec", name, "sh", "-c", "touch /weft/x /tmp/x /var/lib/weft/token/x 2>&1"]);
    assert.equal(written.stdout.match(/Read-only file system/g)?.length, 3, written.stdout);
    await waitUntil("a request to be answered through it", async () => (await get(address, 4140, "/")) === 200, PATIENCE_MS);
  });

  it("says by its health check whether it is ready", async () => {
    const proxy = await startProxy();
    const { name } = proxy;
    await untilReady(proxy);
    assert.equal((await run("podman", ["healthcheck", "run", name])).code, 0);
    const hold = await containers.start(WEFT_IMAGE, CONFINED, ["hold"]);
    assert.notEqual((await run("podman", ["healthcheck", "run", hold])).code, 0);
  });

  it("ends by itself at SIGTERM, with 0, proxy and holder alike", async () => {
    const proxy = await startProxy();
    const { name } = proxy;
    await untilReady(proxy);
    const hold = await containers.start(WEFT_IMAGE, CONFINED, ["hold"]);
    await waitUntil("the holder's word", async () => (await engine("logs", hold)).includes("weft hold"), PATIENCE_MS);
    for (const container of [name, hold]) {
      await engine("stop", "--time", "60", container);
      assert.equal(await inspect(container, ".State.ExitCode"), "0");
    }
  });

  it("is ready within a second", async (context) => {
    const times: number[] = [];
    while (times.length < STARTS_MAX && !times.some((ms) => ms < READY_MS_MAX)) {
      const proxy = await startProxy();
      await waitUntil("the proxy to be ready", async () => (await get(proxy.address, 4191, "/ready")) === 200, PATIENCE_MS);
      const readyMs = Date.now();
      times.push(readyMs - (await startedAtMs(proxy.name)));
      await containers.remove();
    }
    context.diagnostic(`ready after ${times.join(", ")} ms`);
    assert.ok(Math.min(...times) < READY_MS_MAX, `ready after ${times.join(", ")} ms`);
  });

  it("is every command", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    assert.match(await engine("run", "--rm", ...CONFINED, WEFT_IMAGE, "version"), new RegExp(`\\b${version.replaceAll(".", "\\.")}\\b`));
    assert.match(await engine("run", "--rm", ...CONFINED, WEFT_IMAGE), /identity-controller/);
    const rules = await engine("run", "--rm", ...CONFINED, WEFT_IMAGE, "init", "--dry-run", "--ip-family", "ipv4");
    assert.match(rules, /-A WEFT_OUTBOUND -m owner --uid-owner 2102 -j RETURN/);
    const caps = ["--user", "root", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", "--read-only"];
    const hold = await containers.start(WEFT_IMAGE, CONFINED, ["hold"]);
    const init = ["run", "--rm", ...caps, "--network", `container:${hold}`, WEFT_IMAGE, "init"];
    assert.match(await ok("podman", init), /inbound to 4143/);
    assert.match(await ok("podman", init), /inbound to 4143/, "twice is once");
  });
});
