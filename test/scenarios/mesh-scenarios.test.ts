// What one proxy does for HTTP/1, two proxies of a mesh do: the scenarios of one, run through a pair (support/topology.ts).
//
// Not here: what they show of one proxy's own memory and deadlines, and that field names keep their case, which HTTP/2 has not.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

/** About one proxy's own memory: TLS copies what it seals. */
const LEFT_OUT = "copies little";

const SCENARIOS = ["parallel-bodies", "aborts", "early-answers", "early-bytes", "upgrade", "half-close", "relay-failover"];

describe("through two proxies", () => {
  for (const name of SCENARIOS) {
    it(`${name} holds`, async () => {
      const file = fileURLToPath(new URL(`./${name}.test.ts`, import.meta.url));
      // The runner's own marks would make it a part of this run.
      const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
      const child = spawn(process.execPath, ["--test", "--test-reporter=spec", `--test-skip-pattern=${LEFT_OUT}`, file], {
        env: { ...environment, WEFT_TEST_TOPOLOGY: "pair" },
      });
      let said = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString("utf8")));
      const [code] = (await once(child, "close")) as [number | null];
      assert.equal(code, 0, said.slice(-6000));
      assert.match(said, /^ℹ pass [1-9]/m, "no test ran");
    });
  }
});
