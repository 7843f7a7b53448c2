// docker-compose.yml's profile `bench`: one command, one table of three ways, a report in a mounted folder. Whether the figures are good is not
// asked here: runs are as short as they can be.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Metrics } from "../support/metrics.ts";
import { Project } from "./support/project.ts";

const WAYS = ["without mesh", "one proxy", "two proxies and mutual TLS"];
const URLS = ["http://bench-plain:8081/", "http://bench-plain:8080/", "http://bench-meshed:8080/"];
const SHORT = ["--rounds=1", "--seconds=1", "--requests=200", "--concurrency=10", "--rate=100"];

/** ab alone, with and without -k, warming and round. */
const ANSWERS_MIN = 800;

interface Result {
  readonly runs: readonly { load: string; path: string; commandLine: string; requestsPerSecond: number; p50Ms: number; failed: number }[];
}

describe("the profile bench", () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-report-"));
  const project = new Project("weftbench", ["docker-compose.yml"], { BENCH_REPORT: folder });
  after(async () => {
    await project.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it("measures three ways with ab, wrk and the open loop, and tells the command of every figure", async (context) => {
    const ways = WAYS.map((name, at) => `--path=${name}=${URLS[at]}`);
    const said = await project.compose("--profile", "bench", "run", "--rm", "-T", "bench", ...ways, ...SHORT);
    context.diagnostic(said);
    const { runs } = JSON.parse(readFileSync(join(folder, "result.json"), "utf8")) as Result;
    const report = readFileSync(join(folder, "report.md"), "utf8");
    for (const load of ["ab", "ab -k", "wrk", "open loop"]) {
      for (const way of WAYS) {
        const run = runs.find((one) => one.load === load && one.path === way);
        assert.ok(run !== undefined && run.requestsPerSecond > 0, `${load}, ${way}`);
        assert.equal(run.failed, 0, `${load}, ${way}`);
        assert.ok(said.includes(way) && report.includes(way));
        const command = run.commandLine.replace(/--seed \d+/, "--seed ROUND");
        assert.ok(said.includes(command) && report.includes(command), command);
      }
    }
    // What the names promise: the first way meets no proxy, the others one and two.
    const metricsOf = async (service: string): Promise<Metrics> =>
      new Metrics(await fetch(`http://${await project.address(service)}:4191/metrics`).then((response) => response.text()));
    const [mine, theirs] = [await metricsOf("bench-net"), await metricsOf("bench-meshed-net")];
    const outbound = (service: string, tls: string): number =>
      mine.sum("request_total", { direction: "outbound", dst_service: service, tls });
    assert.ok(outbound("bench-plain", "no_identity") >= ANSWERS_MIN);
    assert.ok(outbound("bench-meshed", "true") >= ANSWERS_MIN);
    assert.ok(theirs.sum("request_total", { direction: "inbound", tls: "true" }) >= ANSWERS_MIN);
    assert.ok(!mine.samples.some(({ labels }) => labels["target_port"] === "8081"));
  });
});
