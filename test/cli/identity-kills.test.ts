// The identity component killed again and again while it rotates: what it has told anybody is still true when it is back.
//
// Lives are as short as they may be, so that kills fall into every part of a rotation. After each start: the bundle's version has not gone back,
// one version is always one set of roots, what was issued and has not ended has its root in it, and a printed token that was used stays used.

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { TrustBundle } from "../../src/api/weft/identity_pb.ts";
import { openIdentityFolder } from "../../src/control/identity/token-maker.ts";
import { createRandom } from "../../src/core/util/random.ts";
import { certify, connect, WEB } from "../control/support/identity-client.ts";
import type { Certified, Connection } from "../control/support/identity-client.ts";
import { refusalOf } from "../control/support/refusal.ts";
import { waitUntil, within } from "../support/wait.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const DEADLINE_MS = 60_000;
const KILLS = 6;
/** Bundles that must have been seen: a fast machine is through with its kills before the second rotation. */
const VERSIONS_MIN = 3;
const KILLS_MAX = 30;
/** Each look ends a stream early: a client that does so without a pause is thrown out as a flood of resets. */
const LOOK_EVERY_MS = 50;
const LIVES = ["--leaf-lifetime", "3s", "--issuer-lifetime", "9s", "--root-lifetime", "27s", "--propagation", "1s", "--clock-skew", "0s"];
const SEED = 4242;

let folder: string;
let data: string;
let child: ChildProcess | null = null;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-kills-"));
  data = join(folder, "data");
});
after(() => {
  child?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<number> {
  const args = [MAIN, "identity-controller", "--data", data, "--listen", "127.0.0.1:0", "--admin", "off", ...LIVES];
  const started = spawn(process.execPath, args, { cwd: folder, env: { ...process.env, NODE_OPTIONS: "" } });
  child = started;
  let text = "";
  for (const stream of [started.stdout, started.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
    });
  }
  const line = await waitUntil(
    "the component to serve",
    () => {
      if (started.exitCode !== null) throw new Error(text);
      return text.split("\n").find((it) => it.includes("the identity component serves"));
    },
    DEADLINE_MS,
  );
  return (JSON.parse(line) as { port: number }).port;
}

async function kill(): Promise<void> {
  const ended = new Promise((resolve) => child!.once("exit", resolve));
  child!.kill("SIGKILL");
  await within("the end of the component", ended);
}

/** Every version that was ever seen, with a digest of its roots. */
const versions = new Map<bigint, string>();
let newest = 0n;

async function lookAtBundle(connection: Connection): Promise<X509Certificate[]> {
  const abort = new AbortController();
  const watch = connection.trust.watch({}, { signal: abort.signal })[Symbol.asyncIterator]();
  const { version, roots } = (await within("the bundle", watch.next())).value as TrustBundle;
  abort.abort();
  assert.ok(version >= newest, `version ${version} after ${newest}`);
  newest = version;
  const digest = createHash("sha256").update(Buffer.concat(roots)).digest("hex");
  assert.equal(versions.get(version) ?? digest, digest, `version ${version} is another bundle than it was`);
  versions.set(version, digest);
  return roots.map((der) => new X509Certificate(der));
}

const pemOf = (): string => readFileSync(join(data, "bundle.pem"), "utf8");

async function joinMesh(port: number, use: "once" | "file"): Promise<{ certified: Certified; token: string }> {
  const token = await (await openIdentityFolder(data)).createToken({ name: "web", namespace: "shop", use, ttlS: 3600 });
  return await patiently(async () => {
    const connection = connect({ port, ca: pemOf() });
    try {
      return { certified: await certify(connection, WEB, token), token };
    } finally {
      connection.close();
    }
  });
}

/** The component's own certificate lives for seconds, too: where the machine stands still it may be over, and a moment later there is another. */
async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  return await waitUntil("a certificate that has not expired", async () => {
    try {
      return await attempt();
    } catch (error) {
      if (/certificate has expired/.test(String(error))) return null;
      throw error;
    }
  });
}

test("kills in the midst of rotations: versions never go back, what was issued keeps its root, used tokens stay used", async () => {
  const random = createRandom(SEED);
  const usedTokens: string[] = [];
  for (let round = 0; round <= KILLS || (versions.size < VERSIONS_MIN && round < KILLS_MAX); round++) {
    const port = await start();
    const connection = connect({ port, ca: pemOf() });
    try {
      await patiently(async () => await lookAtBundle(connection));
      for (const token of usedTokens) assert.equal(await refusalOf(certify(connection, WEB, token)), "WEFT_IDENTITY_TOKEN_USED");
      const { certified, token } = await joinMesh(port, "once");
      usedTokens.push(token);
      const untilMs = performance.now() + 500 + random() * 3_000;
      let current = certified;
      while (performance.now() < untilMs) {
        await setTimeout(LOOK_EVERY_MS);
        const roots = await lookAtBundle(connection);
        const issuer = current.intermediates[0]!;
        const isOver = current.validUntilMs <= Date.now();
        assert.ok(
          isOver || roots.some((root) => issuer.checkIssued(root) && issuer.verify(root.publicKey)),
          "a valid leaf without its root",
        );
        if (current.validUntilMs < Date.now() + 1_000) current = (await joinMesh(port, "file")).certified;
      }
    } finally {
      connection.close();
      await kill();
    }
  }
  assert.ok(versions.size >= VERSIONS_MIN, `${versions.size} versions`);
});
