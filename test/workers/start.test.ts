// A start that cannot succeed says why and what to do, and leaves nothing behind.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts } from "../support/ports.ts";
import { within } from "../support/wait.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly errors: string;
}

/** Runs a proxy that is expected to end by itself. */
async function run(options: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, "proxy", ...options], { env: { ...process.env, ...environment } });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString("utf8");
  });
  try {
    const code = await within("the end", new Promise<number | null>((resolve) => child.on("close", resolve)));
    return { code, errors };
  } finally {
    child.kill("SIGKILL");
  }
}

describe("a start that cannot succeed", () => {
  const other = createServer();
  let taken: string;
  let free: string;
  before(async () => {
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    taken = `127.0.0.1:${(other.address() as { port: number }).port}`;
    free = `127.0.0.1:${(await freePorts(1))[0]}`;
  });
  after(() => other.close());

  it("names the listener's port that is taken, and how to choose another", async () => {
    const { code, errors } = await run(["--listen", taken, "--to", "127.0.0.1:1", "--admin", "off"]);
    assert.equal(code, 1);
    assert.match(
      errors,
      new RegExp(`^weft proxy: cannot listen on ${taken}: EADDRINUSE \\(another process has the port\\); .*--listen HOST:PORT`),
    );
  });

  it("names the admin port that is taken, and how to choose another or none", async () => {
    const { code, errors } = await run(["--listen", free, "--to", "127.0.0.1:1", "--admin", taken]);
    assert.equal(code, 1);
    assert.match(errors, new RegExp(`^weft proxy: cannot listen on ${taken}: .*--admin HOST:PORT, or none by --admin off`));
  });

  it("names an address that this machine does not have", async () => {
    const { code, errors } = await run(["--listen", "192.0.2.1:4140", "--to", "127.0.0.1:1", "--admin", "off"]);
    assert.equal(code, 1);
    assert.match(errors, /cannot listen on 192\.0\.2\.1:4140: EADDRNOTAVAIL/);
  });

  it("prints every mistake of the configuration with its place", async () => {
    const text =
      "apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p}\nspec:\n  outbond: {listen: '127.0.0.1:0'}\n  workerz: 2\n";
    const { code, errors } = await run([], { WEFT_CONFIG: text });
    assert.equal(code, 64);
    assert.match(errors, /^WEFT_CONFIG:5:3: outbond .*did you mean (spec\.)?outbound\?$/m);
    assert.match(errors, /^WEFT_CONFIG:6:3: workerz .*did you mean (spec\.)?workers\?$/m);
  });
});
