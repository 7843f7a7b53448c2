import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseTool, toolArguments } from "../../bench/load/run-load.ts";
import { HTTP2 } from "../../bench/load/http2.ts";
import { CLOSED_LOOP, type Load } from "../../bench/load/scenario.ts";
import { PLAIN_HTTP1, type Protocols } from "../../bench/peers/peer.ts";
import { NEW_CONNECTION } from "../../bench/load/new-connection.ts";
import { SCENARIOS } from "../../bench/load/list.ts";
import { parseOptions, UsageError } from "../../bench/options.ts";
import { PEERS } from "../../bench/peers/list.ts";
import { planOf, type Plan } from "../../bench/presets.ts";

function plan(...args: readonly string[]): Plan {
  return planOf(parseOptions(args), args);
}

function names(all: readonly { readonly name: string }[]): string[] {
  return all.map((one) => one.name);
}

test("without a command every proxy runs in the plain scenarios, nine rounds each", () => {
  const { request, footprintPeers, beforeAfterRuns } = plan();
  assert.deepEqual(names(request.scenarios), ["plain", "fixed-rate", "new-connection", "download-1m", "upload-1m"]);
  assert.deepEqual(names(request.peers), names(PEERS));
  assert.deepEqual([request.pairs, request.commandLine, footprintPeers, beforeAfterRuns], [9, "npm run bench", null, 0]);
});

test("presets choose scenarios, proxies and what else is measured", () => {
  assert.deepEqual(names(plan("latency").request.scenarios), ["fixed-rate"]);
  assert.deepEqual(names(plan("cpu").request.peers), ["weft", "nginx", "haproxy", "haproxy-64k"]);
  assert.deepEqual(names(plan("http2").request.scenarios.slice(0, 2)), ["http2", "http2-to-http1"]);
  assert.deepEqual(names(plan("memory").footprintPeers!), ["weft", "nginx", "haproxy", "haproxy-64k"]);
  assert.deepEqual([plan("ab").beforeAfterRuns, plan("ab", "--pairs", "5").beforeAfterRuns], [3, 5]);
  assert.deepEqual(names(plan("all").request.scenarios), names(SCENARIOS));
});

test("options choose again; former names of scenarios still work", () => {
  const { request } = plan("cpu", "--scenario", "small", "--scenario", "websocket-echo", "--subject", "weft,envoy", "--pairs", "2");
  assert.deepEqual([names(request.scenarios), names(request.peers), request.pairs], [["plain", "websocket-echo"], ["weft", "envoy"], 2]);
  assert.equal(request.commandLine, "npm run bench -- cpu --scenario small --scenario websocket-echo --subject weft,envoy --pairs 2");
});

test("a quick run has an end, whatever it is asked to measure", () => {
  for (const preset of ["default", "cpu", "latency", "http2", "memory", "ab", "all"]) {
    const { request } = plan(preset, "--quick");
    assert.ok(request.deadlineMs !== null && request.deadlineMs > 0 && request.deadlineMs < 120_000, preset);
  }
  assert.equal(plan("cpu").request.deadlineMs, null);
});

test("names and numbers that nobody knows are refused with those that there are", () => {
  for (const [args, words] of [
    [["--scenario", "none"], /no scenario is called 'none': plain/],
    [["--subject", "squid"], /no proxy is called 'squid': weft/],
    [["everything"], /the preset is one of default, cpu/],
    [["cpu", "latency"], /one preset at a time/],
    [["--pairs", "0"], /--pairs is a whole number from 1 to 1000/],
    [["ab", "--requests", "10"], /--concurrency is at most --requests/],
    [["--origin", "apache"], /--origin is one of nginx, uws/],
  ] as const) {
    assert.throws(
      () => plan(...args),
      (error) => error instanceof UsageError && words.test(error.message),
      args.join(" "),
    );
  }
});

test("scenarios have names of their own, and bars about loads that they have", () => {
  assert.equal(new Set(names(SCENARIOS)).size, SCENARIOS.length);
  for (const scenario of SCENARIOS) {
    const ids = scenario.loads.map((load) => load.id);
    assert.equal(new Set(ids).size, ids.length, scenario.name);
    for (const bar of scenario.bars) assert.ok(ids.includes(bar.load), `${scenario.name}: ${bar.load}`);
  }
});

test("the first tool that is installed runs a load; our own generator always is", () => {
  assert.equal(chooseTool(CLOSED_LOOP, new Set(["wrk", "h2load"])), "wrk");
  assert.equal(chooseTool(CLOSED_LOOP, new Set(["h2load"])), "h2load");
  assert.equal(chooseTool(CLOSED_LOOP, new Set()), "open-loop");
  assert.equal(chooseTool(NEW_CONNECTION.loads[0]!, new Set(["wrk"])), null);
});

test("scenarios that speak HTTP/2 or TLS ask for proxies that can", () => {
  for (const { name, needs, protocols, origin, loads } of SCENARIOS) {
    assert.equal(needs.includes("http2"), protocols.downstream === "http2", name);
    assert.equal(needs.includes("to-http2"), protocols.upstream === "http2", name);
    assert.equal(needs.includes("tls"), protocols.tls, name);
    const isPlain = protocols.downstream === "http1" && protocols.upstream === "http1" && !protocols.tls;
    assert.ok(isPlain || origin === "nginx" || origin === "nghttpd", `${name}: its origin speaks what it is about`);
    if (protocols.downstream === "http2") for (const load of loads) assert.deepEqual(load.tools, ["h2load"], name);
  }
});

test("h2load counts requests over HTTP/2, with its streams; over TLS all have one cipher", () => {
  const args = (load: Load, protocols: Protocols, requests: number): string[] =>
    toolArguments({
      load,
      tool: "h2load",
      protocols,
      port: 80,
      connections: load.connections as number,
      rateRps: null,
      seconds: 3,
      requests,
      seed: 1,
    });
  const load = HTTP2[0]!.loads[0]!;
  const both: Protocols = { downstream: "http2", upstream: "http2", tls: false };
  assert.deepEqual(args(load, both, 5_000), ["-m16", "-t1", "-c8", "-n", "5000", "http://127.0.0.1:80/"]);
  const secured = args(load, { ...both, tls: true }, 5_000);
  assert.deepEqual(secured.slice(-3), ["--tls13-ciphers=TLS_AES_256_GCM_SHA384", "--npn-list=h2", "https://127.0.0.1:80/"]);
  assert.deepEqual(args(CLOSED_LOOP, PLAIN_HTTP1, 0), ["--h1", "-t1", "-c64", "-D", "3", "http://127.0.0.1:80/"]);
});

test("ab's -n comes after its -t, which would set it", () => {
  const load = NEW_CONNECTION.loads[0]!;
  const args = toolArguments({
    load,
    tool: "ab",
    protocols: PLAIN_HTTP1,
    port: 80,
    connections: 100,
    rateRps: null,
    seconds: 3,
    requests: 20_000,
    seed: 1,
  });
  assert.ok(args.indexOf("-t") < args.indexOf("-n"));
  assert.deepEqual(args.slice(args.indexOf("-n")), ["-n", "20000", "-c", "100", "http://127.0.0.1:80/"]);
});
