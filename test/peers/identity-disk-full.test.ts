// The identity component while its disk has no more room, by a limit on the size of its files: half a line is written, as on a full disk.
//
// Story: the next use of a token was written behind that half a line, which made one line of no meaning of both: after a restart the token was good again.
// And a token that could not be noted counted as used, though nobody had got anything for it.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openIdentityFolder } from "../../src/control/identity/token-maker.ts";
import { certify, connect, WEB } from "../control/support/identity-client.ts";
import { refusalOf } from "../control/support/refusal.ts";
import { waitUntil, within } from "../support/wait.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const DEADLINE_MS = 60_000;
/** Bytes of a line that still fit. */
const PART = 10;

let folder: string;
let data: string;
let child: ChildProcess;
let port = 0;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-disk-"));
  data = join(folder, "data");
});
after(() => {
  child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<void> {
  const args = [MAIN, "identity-controller", "--data", data, "--listen", "127.0.0.1:0", "--admin", "off"];
  const started = spawn(process.execPath, args, { cwd: folder, env: { ...process.env, NODE_OPTIONS: "" } });
  child = started;
  let text = "";
  for (const stream of [started.stdout, started.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
  const line = await waitUntil(
    "the component to serve",
    () => {
      if (started.exitCode !== null) throw new Error(text);
      return text.split("\n").find((it) => it.includes("the identity component serves"));
    },
    DEADLINE_MS,
  );
  port = (JSON.parse(line) as { port: number }).port;
}

/** Bytes that a file of the component may have. */
function limitFiles(bytes: number | "unlimited"): void {
  execFileSync("prlimit", [`--fsize=${bytes}:unlimited`, "--pid", String(child.pid)]);
}

async function printToken(): Promise<string> {
  return await (await openIdentityFolder(data)).createToken({ name: "web", namespace: "shop", use: "once", ttlS: 3600 });
}

/** What came of it. */
async function joinWith(token: string): Promise<string> {
  const connection = connect({ port, ca: readFileSync(join(data, "bundle.pem"), "utf8") });
  try {
    await within("a certificate", certify(connection, WEB, token));
    return "joined";
  } catch (error) {
    return await refusalOf(Promise.reject(error));
  } finally {
    connection.close();
  }
}

test("a printed token that could not be noted is good again, one that was noted after it stays used", async () => {
  await start();
  const [one, two, three] = [await printToken(), await printToken(), await printToken()];
  assert.equal(await joinWith(one), "joined");
  limitFiles(statSync(join(data, "used-tokens")).size + PART);
  const refusal = await joinWith(two);
  assert.doesNotMatch(refusal, /joined|WEFT_IDENTITY_TOKEN_USED/);
  assert.equal(await joinWith(two), refusal);
  limitFiles("unlimited");
  assert.equal(await joinWith(three), "joined");
  assert.equal(await joinWith(two), "joined");

  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await within("its end", ended);
  await start();
  for (const token of [one, two, three]) assert.match(await joinWith(token), /WEFT_IDENTITY_TOKEN_USED/);
});
