// gRPC metrics by method, as a real client and a real server make them: names, statuses, cancellation, what breaks, what is made up.

import assert from "node:assert/strict";
import { Metadata, status } from "@grpc/grpc-js";
import { after, before, describe, it } from "node:test";
import { GrpcClient } from "../grpc/client.ts";
import { GrpcServer } from "../grpc/server.ts";
import { zeros } from "../grpc/service.ts";
import { H2Client } from "../support/h2-client.ts";
import type { Metrics } from "../support/metrics.ts";
import { closedPort } from "../support/ports.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

const SERVICE = "grpc.testing.TestService";
const OTHER = { rpc_service: "other", rpc_method: "other" };

function method(name: string): { rpc_service: string; rpc_method: string; dst_service: string; direction: string } {
  return { rpc_service: SERVICE, rpc_method: name, dst_service: "web", direction: "outbound" };
}

/** Every call that began has ended, and was counted once each way. */
function balances(metrics: Metrics): void {
  const requests = metrics.samples.filter(({ name }) => name === "grpc_request_total");
  assert.ok(requests.length > 0);
  for (const { labels, value } of requests) {
    assert.equal(metrics.sum("grpc_response_total", labels), value, JSON.stringify(labels));
    assert.equal(metrics.sum("grpc_response_latency_ms_count", labels) <= value, true);
  }
}

describe("gRPC metrics by method", () => {
  let server: GrpcServer;
  let proxy: ProxyProcess;
  let client: GrpcClient;
  before(async () => {
    server = await GrpcServer.start({ name: "alone" });
    const nowhere = await closedPort();
    proxy = await ProxyProcess.start({
      services: { web: { endpoints: [server.address], protocol: "grpc" }, dead: { endpoints: [`127.0.0.1:${nowhere}`], protocol: "grpc" } },
      limits: { failFastTimeoutMs: 100 },
    });
    client = new GrpcClient(`127.0.0.1:${proxy.port}`, { authority: "web" });
  });
  after(async () => {
    client.close();
    server.stop();
    await stopProxy(proxy);
  });

  it("counts calls, statuses and latencies", async () => {
    for (let i = 0; i < 5; i++) await client.empty();
    await client.unary({ responseSize: 10 });
    await client.unary({ responseStatus: { code: status.NOT_FOUND, message: "no" } });
    await client.unary({ responseStatus: { code: status.INTERNAL, message: "no" } });
    const { stream, outcome } = client.duplex();
    stream.write({ responseParameters: [{ size: 1 }], payload: zeros(1) });
    stream.end();
    assert.equal((await outcome).code, status.OK);
    const metrics = await proxy.metrics();
    assert.equal(metrics.sum("grpc_request_total", method("EmptyCall")), 5);
    assert.equal(metrics.sum("grpc_response_total", { ...method("EmptyCall"), grpc_status: "0", classification: "success" }), 5);
    assert.equal(metrics.sum("grpc_response_latency_ms_count", method("EmptyCall")), 5);
    assert.equal(metrics.sum("grpc_request_total", method("UnaryCall")), 3);
    assert.equal(metrics.sum("grpc_response_total", { ...method("UnaryCall"), grpc_status: "0", classification: "success" }), 1);
    assert.equal(metrics.sum("grpc_response_total", { ...method("UnaryCall"), grpc_status: "5", classification: "success" }), 1);
    assert.equal(metrics.sum("grpc_response_total", { ...method("UnaryCall"), grpc_status: "13", classification: "failure" }), 1);
    assert.equal(metrics.sum("grpc_response_total", { ...method("FullDuplexCall"), grpc_status: "0" }), 1);
    balances(metrics);
  });

  it("counts a call while it runs, and as 1 when its client cancels it", async () => {
    const { stream, outcome } = client.duplex();
    stream.write({ responseParameters: [{ size: 1 }], payload: zeros(1) });
    await new Promise((resolve) => stream.once("data", resolve));
    const during = await proxy.metrics();
    assert.equal(
      during.sum("grpc_request_total", method("FullDuplexCall")) - during.sum("grpc_response_total", method("FullDuplexCall")),
      1,
    );
    stream.cancel();
    assert.equal((await outcome).code, status.CANCELLED);
    const cancelled = { ...method("FullDuplexCall"), grpc_status: "1", classification: "success" };
    await waitUntil("the cancelled call", async () => (await proxy.metrics()).sum("grpc_response_total", cancelled) === 1);
    balances(await proxy.metrics());
  });

  it("names no method that its service does not have", async () => {
    const before = await proxy.metrics();
    assert.equal((await client.unimplementedMethod()).code, status.UNIMPLEMENTED);
    assert.equal((await client.unimplementedService()).code, status.UNIMPLEMENTED);
    const scanner = new H2Client(proxy.port);
    for (let i = 0; i < 20; i++) {
      const headers = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
      await scanner.request({ ":path": `/made.Up/Method${i}`, ...headers }, Buffer.alloc(5));
    }
    scanner.close();
    const metrics = await proxy.metrics();
    const grown = (labels: Record<string, string>): number =>
      metrics.sum("grpc_response_total", labels) - before.sum("grpc_response_total", labels);
    assert.equal(grown({ ...OTHER, grpc_status: "12", classification: "success" }), 22);
    assert.equal(grown({}), 22);
    assert.equal(metrics.has("grpc_request_total", { rpc_method: "Method0" }), false);
    balances(metrics);
  });

  it("counts what Weft answers itself, with its error", async () => {
    const dead = new GrpcClient(`127.0.0.1:${proxy.port}`, { authority: "dead" });
    const { code } = await dead.empty();
    assert.ok(code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED, String(code));
    dead.close();
    const metrics = await proxy.metrics();
    const labels = { ...OTHER, dst_service: "dead", grpc_status: String(code), classification: "failure" };
    assert.equal(metrics.sum("grpc_response_total", labels), 1);
    assert.ok(
      metrics.samples.some(
        (one) => one.name === "grpc_response_total" && one.labels["dst_service"] === "dead" && one.labels["error"] !== undefined,
      ),
    );
    balances(metrics);
  });

  it("counts a call whose server dies", async () => {
    const { stream, outcome } = client.duplex(new Metadata());
    stream.write({ responseParameters: [{ size: 1 }], payload: zeros(1) });
    await new Promise((resolve) => stream.once("data", resolve));
    server.stop();
    assert.notEqual((await outcome).code, status.OK);
    const metrics = await waitUntil("the broken call", async () => {
      const now = await proxy.metrics();
      const failed = now.samples.some(
        (one) => one.name === "grpc_response_total" && one.labels["error"] !== undefined && one.labels["rpc_method"] === "FullDuplexCall",
      );
      return failed && now;
    });
    balances(metrics);
  });

  it("says nothing about other requests", async () => {
    const plain = new H2Client(proxy.port, "dead");
    const before = (await proxy.metrics()).sum("grpc_request_total");
    await plain.get("/not/grpc");
    plain.close();
    assert.equal((await proxy.metrics()).sum("grpc_request_total"), before);
  });
});
