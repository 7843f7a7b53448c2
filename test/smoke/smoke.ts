// A smoke test of the built command under whatever Node runs this file: `.ci/run` runs it under Node 26, for which there is no
// uWebSockets.js binary, so that the admin port must come from node:http and ws.
//
//   node test/smoke/smoke.ts [--backend node|uws]      exit code 0 and "N passed, 0 failed", or the first failure
//
// A script and not a test file: it needs nothing of the development tools, only `dist` and the packages that Weft runs with.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import { request as requestTls } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { Authority, CertificateFiles } from "../support/certificates.ts";
import { freePorts } from "../support/ports.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DEADLINE_MS = 20_000;
const REQUESTS = 200;

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: 8 });

function call(port: number, path: string, method = "GET", body = ""): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, method, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** An upload over TLS on a connection of its own. */
function callTls(port: number, ca: string, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path: "/tls", method: "POST", ca, servername: "localhost", agent: false } as const;
    const outgoing = requestTls(options, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function untilReady(adminPort: number, child: ChildProcess, log: () => string): Promise<void> {
  for (const deadline = performance.now() + DEADLINE_MS; ; await wait(25)) {
    const answer = await call(adminPort, "/ready").catch(() => null);
    if (answer?.status === 200) return;
    assert.equal(child.exitCode, null, `the proxy ended:\n${log()}`);
    assert.ok(performance.now() < deadline, `the proxy was not ready in time:\n${log()}`);
  }
}

/** Requests through a real `weft proxy`, its admin port, and its end by SIGTERM. */
async function proxyForwards(): Promise<void> {
  const origin = createServer((incoming, response) => {
    let size = 0;
    incoming.on("data", (chunk: Buffer) => {
      size += chunk.length;
    });
    incoming.on("end", () => response.end(`${incoming.method} ${incoming.url} ${size}`));
  }).listen(0, "127.0.0.1");
  await once(origin, "listening");
  const to = `127.0.0.1:${(origin.address() as AddressInfo).port}`;
  const [port, adminPort, tlsPort] = (await freePorts(3)) as [number, number, number];
  const authority = new Authority();
  const files = new CertificateFiles(authority.issue());
  const config = `apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: smoke}
spec:
  workers: 1
  outbound:
    listen: "127.0.0.1:${port}"
    default: smoke
    ports: [{listen: "127.0.0.1:${tlsPort}", service: smoke, tls: {cert: "${files.cert}", key: "${files.key}"}}]
  admin: {listen: "127.0.0.1:${adminPort}"}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: smoke}
spec: {endpoints: [{address: "${to}"}]}
`;
  const child = spawn(process.execPath, ["bin/weft.mjs", "proxy"], {
    cwd: ROOT,
    env: { ...process.env, WEFT_CONFIG: config },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      log += chunk.toString("utf8");
    });
  }
  try {
    await untilReady(adminPort, child, () => log);
    const answers = await Promise.all(Array.from({ length: REQUESTS }, (_, n) => call(port, `/n/${n}`)));
    for (const [n, { status, body }] of answers.entries()) assert.deepEqual([status, body], [200, `GET /n/${n} 0`]);
    const upload = await call(port, "/up", "POST", "x".repeat(1_000_000));
    assert.deepEqual([upload.status, upload.body], [200, "POST /up 1000000"]);
    const overTls = await Promise.all([1, 70_000, 2_000_000].map((size) => callTls(tlsPort, authority.cert, "x".repeat(size))));
    assert.deepEqual(
      overTls.map(({ status, body }) => [status, body]),
      [1, 70_000, 2_000_000].map((size) => [200, `POST /tls ${size}`]),
    );
    const metrics = (await call(adminPort, "/metrics")).body;
    const total = [...metrics.matchAll(/^request_total\{[^}]*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
    assert.equal(total, REQUESTS + 1 + overTls.length, "request_total");
    assert.equal((await call(adminPort, "/stats.json")).status, 200);
    assert.equal((await call(adminPort, "/nothing")).status, 404);
    child.kill("SIGTERM");
    const [code] = await exited;
    assert.equal(code, 0, `exit code after SIGTERM\n${log}`);
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await exited;
    }
    files.remove();
    origin.close();
    origin.closeAllConnections();
  }
}

/** The admin surface by itself: which backend it is, and a message published over WebSocket. */
async function adminPublishes(expected: string | undefined): Promise<void> {
  const module = new URL("../../dist/admin/create-admin-server.js", import.meta.url).href;
  const { createAdminServer } = (await import(module)) as typeof import("../../src/admin/create-admin-server.ts");
  const failures: unknown[] = [];
  const server = await createAdminServer({ onError: (error) => failures.push(error) });
  if (expected !== undefined) assert.equal(server.backend, expected);
  server.websocket("/live", "smoke");
  const port = await server.listen("127.0.0.1", 0);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/live`);
  const message = once(socket, "message");
  await once(socket, "open");
  for (const deadline = performance.now() + DEADLINE_MS; server.subscribers("smoke") === 0; await wait(10)) {
    assert.ok(performance.now() < deadline, "the subscription did not arrive");
  }
  server.publish("smoke", "a message");
  assert.equal(String((await message)[0]), "a message");
  socket.close();
  await server.close();
  assert.deepEqual(failures, []);
}

const { values } = parseArgs({ options: { backend: { type: "string" } } });
const checks: readonly [string, () => Promise<void>][] = [
  ["a proxy forwards, reports and ends", proxyForwards],
  ["the admin surface publishes over WebSocket", () => adminPublishes(values.backend)],
];
for (const [name, check] of checks) {
  await check();
  console.log(`ok: ${name} (Node ${process.version})`);
}
agent.destroy();
console.log(`${checks.length} passed, 0 failed`);
