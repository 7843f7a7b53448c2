// Transparent listeners in the configuration: what reaches the snapshot and the workers, and what makes no sense beside them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkConfig, loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { ProxySnapshot } from "../../src/config/snapshot.ts";
import { workerUpdate } from "../../src/config/worker-update.ts";

function yaml(spec: string, service = "{endpoints: [{address: 10.0.0.1:80}]}"): string {
  const proxy = `{apiVersion: weft.dev/v1alpha1, kind: Proxy, metadata: {name: p}, spec: ${spec}}`;
  return `${proxy}\n---\n{apiVersion: weft.dev/v1alpha1, kind: Service, metadata: {name: web}, spec: ${service}}\n`;
}

function load(text: string): ProxySnapshot {
  const result = loadConfig({ text, label: "x" });
  assert.ok("snapshot" in result, JSON.stringify(result));
  return result.snapshot;
}

function said(text: string): string {
  return checkConfig({ text, label: "x" }).problems.map(formatProblem).join("\n");
}

describe("outbound.transparent", () => {
  it("marks the listener for requests by name, and no other", () => {
    const { listeners } = load(yaml('{outbound: {transparent: true, ports: [{listen: "127.0.0.1:5432", service: web}]}}'));
    assert.deepEqual(
      listeners.map(({ id, transparent }) => [id, transparent]),
      [
        ["outbound", true],
        ["outbound/127.0.0.1:5432", undefined],
      ],
    );
    assert.equal(load(yaml("{outbound: {transparent: false}}")).listeners[0]!.transparent, undefined);
  });

  it("needs no default where everything is opaque", () => {
    assert.equal(load(yaml("{outbound: {transparent: true, protocol: opaque}}")).listeners[0]!.protocol, "opaque");
  });

  it("says which keys have no effect beside it, and refuses to be without a listener", () => {
    const text = said(yaml("{outbound: {transparent: true, default: web, unknown: forward, allowOverride: true}}"));
    for (const key of ["default", "unknown", "allowOverride"])
      assert.match(text, new RegExp(`warning: spec.outbound.${key} has no effect beside transparent`));
    assert.doesNotMatch(text, /error/);
    assert.match(said(yaml('{outbound: {transparent: true, listen: "off"}}')), /spec\.outbound\.transparent is true, and .* is off/);
  });
});

describe("inbound.transparent", () => {
  it("needs no target, and its ports are rules instead of listeners", () => {
    const snapshot = load(
      yaml('{inbound: {transparent: true, ports: [{port: 5432, protocol: opaque}, {port: 8080, target: "127.0.0.1:9090"}]}}'),
    );
    const [outbound, inbound, ...more] = snapshot.listeners;
    assert.deepEqual([outbound?.id, inbound?.id, inbound?.transparent, inbound?.service, more], ["outbound", "inbound", true, null, []]);
    assert.deepEqual(
      snapshot.redirectedPorts?.map(({ listen, protocol, service }) => [listen.port, protocol, service]),
      [
        [5432, "opaque", null],
        [8080, "detect", "inbound/8080"],
      ],
    );
    const update = workerUpdate(1, null, snapshot, () => []);
    assert.deepEqual(update.proxy?.redirectedPorts, snapshot.redirectedPorts);
    assert.deepEqual(update.services.find(({ key }) => key === "inbound/8080")?.endpoints, ["127.0.0.1:9090"]);
  });

  it("may have the application on a port with a rule of its own: nothing else listens there", () => {
    const spec = '{inbound: {transparent: true, ports: [{port: 8080, target: "127.0.0.1:8080"}]}}';
    assert.equal(said(yaml(spec)), "");
    assert.match(said(yaml(spec.replace("transparent: true", 'target: "127.0.0.1:1"'))), /the inbound listener of Proxy p itself/);
  });

  it("keeps a target for connections to the listener itself", () => {
    assert.equal(load(yaml('{inbound: {transparent: true, target: "127.0.0.1:8080"}}')).listeners[1]?.service, "inbound/4143");
  });

  it("is what makes targets optional", () => {
    assert.match(said(yaml("{inbound: {ports: [{port: 5432}]}}")), /spec\.inbound\.target is missing(.|\n)*ports\[0\]\.target is missing/);
  });
});

describe("a service's own addresses", () => {
  it("reach the workers in one spelling", () => {
    const snapshot = load(yaml("{}", '{addresses: [10.96.0.1, "FD00:0:0::1", "::ffff:10.96.0.2"]}'));
    const update = workerUpdate(1, null, snapshot, () => []);
    assert.deepEqual(update.services[0]?.ownAddresses, ["10.96.0.1", "fd00::1", "10.96.0.2"]);
  });

  it("are addresses, without a port", () => {
    for (const address of ["10.96.0.1:80", "web", '"[::1]"', "10.96.0.0/16"])
      assert.match(said(yaml("{}", `{addresses: [${address}]}`)), /spec\.addresses\[0\] is .*expected an IP address/, address);
  });
});
