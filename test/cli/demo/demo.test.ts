// The demo as `npm start` runs it: a process of its own with the built proxy, on free ports.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { within } from "../../support/wait.ts";

const MAIN = fileURLToPath(new URL("../../../dist/cli/demo/main.js", import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

class Demo {
  readonly child: ChildProcess;
  out = "";
  err = "";
  readonly #closed: Promise<unknown[]>;

  constructor(environment: NodeJS.ProcessEnv, ...args: string[]) {
    this.child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } });
    this.#closed = once(this.child, "close");
    this.child.stdout!.on("data", (chunk: Buffer) => {
      this.out += chunk.toString("utf8");
    });
    this.child.stderr!.on("data", (chunk: Buffer) => {
      this.err += chunk.toString("utf8");
    });
  }

  async outcome(): Promise<Outcome> {
    await this.#closed;
    return { code: this.child.exitCode, out: this.out, err: this.err };
  }
}

/** A port that is in use until `free`. */
async function takenPort(): Promise<{ readonly port: number; free(): void }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { port: address.port, free: () => server.close() };
}

test("a run with --duration prints a line a second, ends by itself with a summary, and nothing failed", async () => {
  const { code, out, err } = await new Demo({}, "--duration", "3s", "--port", "0", "--admin-port", "0").outcome();
  assert.equal(code, 0, err + out);
  assert.equal(err, "");
  assert.match(out, /^ {2}curl -i http:\/\/127\.0\.0\.1:\d+\/$/m);
  assert.match(out, /^ {2}ab -k -n 10000 -c 100 http:\/\/127\.0\.0\.1:\d+\/$/m);
  assert.match(out, /^1 s {2}\d+ requests\/s {2}success 100\.00 % /m);
  const summary = /^Summary: (\d+) requests in [\d.]+ s, 0 failed, success 100\.00 %$/m.exec(out);
  assert.ok(summary !== null, out);
  // 200 requests a second were due; a busy machine may have measured a longer time, never a shorter one.
  assert.ok(Number(summary[1]) >= 590, summary[0]);
  const shares = [...out.matchAll(/^ {2}(fast|uneven|slow) +(\d+) requests, /gm)].map(([, , count]) => Number(count));
  assert.equal(shares.length, 3);
  assert.equal(
    shares.reduce((sum, count) => sum + count, 0),
    Number(summary[1]),
    "every request is counted at an endpoint",
  );
  assert.match(out, /^ {2}proxy overhead {3}P50 [\d.]+ ms {3}P99 [\d.]+ ms$/m);
});

test("Ctrl-C ends it with a summary and exit code 0", async () => {
  const demo = new Demo({}, "--port", "0", "--admin-port", "0");
  const hasLine = (async () => {
    while (!/^\d+ s /m.test(demo.out)) await once(demo.child.stdout!, "data");
  })();
  await Promise.race([hasLine, demo.outcome()]);
  demo.child.kill("SIGINT");
  const { code, out, err } = await demo.outcome();
  assert.equal(code, 0, err + out);
  assert.match(out, /^Summary: \d+ requests/m);
});

for (const [flag, role] of [
  ["port", "proxy"],
  ["admin-port", "admin"],
] as const) {
  test(`a ${flag} that is taken is named, with how to choose another`, async () => {
    const { port, free } = await takenPort();
    try {
      const other = flag === "port" ? ["--admin-port", "0"] : ["--port", "0"];
      const { code, out, err } = await new Demo({}, `--${flag}`, String(port), ...other).outcome();
      assert.equal(code, 1);
      assert.equal(out, "");
      assert.match(err, new RegExp(`^weft: port ${port} \\(${role}\\) is taken; choose another: npm start -- --${flag} \\d+\\n$`));
    } finally {
      free();
    }
  });
}

for (const [what, line] of [
  ["with its first lines, as behind head -1", /^Weft: /m],
  ["while figures are printed", /^\d+ s /m],
] as const) {
  test(`when nobody reads its output any more, it ends by itself and leaves nothing behind: ${what}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "weft-demo-test-"));
    try {
      const demo = new Demo({ TMPDIR: folder }, "--port", "0", "--admin-port", "0");
      const hasLine = (async () => {
        while (!line.test(demo.out)) await once(demo.child.stdout!, "data");
      })();
      await Promise.race([hasLine, demo.outcome()]);
      demo.child.stdout!.destroy();
      const { code, err } = await within("its end", demo.outcome());
      assert.equal(err, "");
      assert.equal(code, 0);
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

test("a wrong argument is refused with the usage", async () => {
  const { code, err } = await new Demo({}, "--duration", "soon").outcome();
  assert.equal(code, 1);
  assert.match(err, /^weft: --duration soon: use a time/);
  assert.match(err, /--admin-port/);
});
