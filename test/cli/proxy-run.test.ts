// `weft proxy` as a process: it serves, drains on SIGTERM, and refuses a bad configuration with its own exit code.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const READY_DEADLINE_MS = 30_000;

const origin = createServer((request, response) => response.end(`origin got ${request.headers.host}`));
let folder = "";
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-cli-"));
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
});
after(() => {
  rmSync(folder, { recursive: true });
  origin.close();
});

function originAddress(): string {
  return `127.0.0.1:${(origin.address() as AddressInfo).port}`;
}

function start(args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  const { WEFT_CONFIG: _, ...inherited } = process.env;
  return spawn(process.execPath, [MAIN, "proxy", ...args], {
    cwd: folder,
    env: { ...inherited, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: READY_DEADLINE_MS,
  });
}

/** The outbound address of the log line that says ready. */
async function untilReady(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout);
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = JSON.parse(line) as { msg: string; outbound: string };
    if (entry.msg === "ready") return entry.outbound;
  }
  throw new Error("the proxy ended before it was ready");
}

/** One request, then SIGTERM; resolves to the answer and the exit code. */
async function serveOnce(child: ChildProcess): Promise<[body: string, code: number | null]> {
  const closed = once(child, "close") as Promise<[number | null]>;
  const address = await untilReady(child);
  // The log goes on; nobody reads it from here on.
  child.stdout?.resume();
  const response = await fetch(`http://${address}/`, { headers: { connection: "close" } });
  const body = await response.text();
  child.kill("SIGTERM");
  const [code] = await closed;
  return [body.replace(address, "PROXY"), code];
}

test("flags alone make a proxy that serves and drains", async () => {
  const child = start(["--listen", "127.0.0.1:0", "--to", originAddress(), "--admin", "off", "--workers", "0"]);
  assert.deepEqual(await serveOnce(child), ["origin got PROXY", 0]);
});

const config = (): string => `
apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: p}
spec: {outbound: {listen: "127.0.0.1:0", default: web}, admin: {listen: off}}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web}
spec: {endpoints: [{address: "${originAddress()}"}]}
`;

test("a file makes a proxy that serves and drains", async () => {
  writeFileSync(join(folder, "weft.yaml"), config());
  assert.deepEqual(await serveOnce(start(["--config", "weft.yaml", "--workers", "1"])), ["origin got PROXY", 0]);
});

test("WEFT_CONFIG makes a proxy that serves and drains", async () => {
  assert.deepEqual(await serveOnce(start(["--workers", "0"], { WEFT_CONFIG: config() })), ["origin got PROXY", 0]);
});

test("a bad file ends with 64 and every mistake", async () => {
  writeFileSync(join(folder, "bad.yaml"), config().replace("default: web", "default: wbe").replace("admin", "admn"));
  const child = start(["--config", "bad.yaml"]);
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 64);
  assert.deepEqual(stderr.trimEnd().split("\n"), [
    'bad.yaml:5:51: spec.outbound.default is "wbe", and no Service has this name; did you mean web?',
    "bad.yaml:5:57: admn is not a key of spec; did you mean admin?",
  ]);
});

test("bad flags end with 64", async () => {
  const child = start(["--listen", "localhost:1", "--to", "127.0.0.1:2"]);
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 64);
});

test("a name that cannot be resolved is told with the proxy's name, and no line says anything twice", async () => {
  const child = start(["--listen", "127.0.0.1:0", "--to", "nobody.invalid:80", "--admin", "off", "--workers", "0"]);
  assert.ok(child.stdout);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const { name, host, msg } = JSON.parse(line) as Record<string, unknown>;
      const keys = [...line.matchAll(/"(\w+)":/g)].map(([, key]) => key);
      assert.equal(new Set(keys).size, keys.length, line);
      if (msg !== "a name cannot be resolved") continue;
      assert.deepEqual({ name, host }, { name: "proxy", host: "nobody.invalid" });
      return;
    }
    assert.fail("the proxy ended before it said so");
  } finally {
    child.kill("SIGKILL");
  }
});
