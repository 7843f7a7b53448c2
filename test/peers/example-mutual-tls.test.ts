// examples/mutual-tls as its README says: one command, and what it shows: nothing readable between the sidecars, each knows the other, nobody
// else comes in.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { runTool, succeed } from "./support/tools.ts";

const START = fileURLToPath(new URL("../../examples/mutual-tls/start.mjs", import.meta.url));
const BUNDLE = fileURLToPath(new URL("../../examples/mutual-tls/.weft/identity/bundle.pem", import.meta.url));
/** It ends by itself should the test die. */
const SECONDS = 120;
const STARTED_MS = 60_000;
const FRONTEND = "http://127.0.0.2:4143";
const SIDECAR = "127.0.0.3:4143";
const BACKEND = "backend.shop.serviceaccount.identity.weft.cluster.local";
const CLIENT = "frontend.shop.serviceaccount.identity.weft.cluster.local";
const MARK = "a-word-that-nobody-else-says";

/** What passed a port of the loopback interface while `work` ran. */
async function captured(port: number, work: () => Promise<void>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "weft-capture-"));
  const file = join(folder, "lo.pcap");
  const dump = spawn("tcpdump", ["-i", "lo", "-U", "--immediate-mode", "-Z", "root", "-w", file, `tcp port ${port} and host 127.0.0.3`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    let said = "";
    await new Promise<void>((resolve, reject) => {
      dump.once("error", reject);
      dump.once("exit", () => reject(new Error(`tcpdump ended: ${said}`)));
      dump.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes("listening on")) resolve();
      });
    });
    await work();
    const ended = new Promise((resolve) => dump.once("exit", resolve));
    dump.kill("SIGINT");
    await ended;
    return readFileSync(file, "latin1");
  } finally {
    dump.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

function handshake(...args: readonly string[]): Promise<{ code: number | null; said: string }> {
  const line = ["s_client", "-connect", SIDECAR, "-servername", BACKEND, ...args];
  return runTool("openssl", line).then(({ code, stdout, stderr }) => ({ code, said: stdout.toString("latin1") + stderr }));
}

describe("examples/mutual-tls", () => {
  let example: ChildProcess;
  before(async () => {
    example = spawn(process.execPath, [START, "--seconds", String(SECONDS)], { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not started within ${STARTED_MS} ms: ${said}`)), STARTED_MS);
      const onData = (chunk: Buffer): void => {
        said += chunk.toString();
        if (!said.includes("Everything runs")) return;
        clearTimeout(timer);
        resolve();
      };
      example.stdout!.on("data", onData);
      example.stderr!.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
      example.once("exit", (code) => reject(new Error(`ended with ${code}: ${said}`)));
    });
  });
  after(async () => {
    if (example.exitCode !== null) return;
    const ended = new Promise((resolve) => example.once("exit", resolve));
    example.kill("SIGTERM");
    await ended;
  });

  it("tells the backend who asks, as the certificate says, and not as the client does", async () => {
    const answer = await succeed("curl", ["-sS", "-H", "l5d-client-id: somebody.else", `${FRONTEND}/x`]);
    assert.equal(answer, `frontend: backend: asked for /x by ${CLIENT}\n`);
  });

  it("shows nothing readable between the sidecars; behind them there is plain HTTP", async () => {
    const ask = async (): Promise<void> => {
      const answer = await succeed("curl", ["-sS", `${FRONTEND}/${MARK}`]);
      assert.match(answer, new RegExp(MARK));
    };
    const wire = await captured(4143, ask);
    // A TLS record of application data: 23, version 3.3.
    assert.ok(wire.includes("\x17\x03\x03"), "nothing was captured");
    assert.ok(!wire.includes(MARK));
    assert.ok(!wire.includes("HTTP/1.1"));
    assert.ok((await captured(8080, ask)).includes(MARK), "a capture that sees nothing anywhere proves nothing");
  });

  it("shows openssl TLS 1.3 and the chain, and no other version", async () => {
    const { said } = await handshake("-showcerts");
    assert.match(said, /TLSv1\.3/);
    assert.match(said, new RegExp(`DNS:${BACKEND}|CN ?= ?${BACKEND}`));
    assert.ok((said.match(/BEGIN CERTIFICATE/g) ?? []).length >= 2, "the leaf and its issuer");
    // As the README says: nobody's root without the mesh's bundle.
    assert.match(said, /Verify return code: 20 /);
    assert.match((await handshake("-CAfile", BUNDLE)).said, /Verify return code: 0 /);
    const older = await handshake("-tls1_2");
    assert.notEqual(older.code, 0);
    assert.doesNotMatch(older.said, /BEGIN CERTIFICATE/);
  });

  it("lets nobody in who has no certificate of the mesh", async () => {
    assert.equal(await succeed("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}", `http://${SIDECAR}/x`]), "403");
    const anonymous = [
      "-sSk",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "--resolve",
      `${BACKEND}:4143:127.0.0.3`,
      `https://${BACKEND}:4143/x`,
    ];
    assert.equal(await succeed("curl", anonymous), "403");
  });
});
