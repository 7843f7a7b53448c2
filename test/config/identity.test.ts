// `spec.identity` and endpoints with an identity: what reaches the snapshot and the workers, what is refused, that no key is shown.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { ProxySnapshot } from "../../src/config/snapshot.ts";
import { workerService } from "../../src/config/worker-update.ts";
import { Authority, CertificateFiles } from "../support/certificates.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const authority = new Authority();
const files = new CertificateFiles(authority.issue({ names: [NAME] }));
const roots = new CertificateFiles({ cert: authority.cert, key: "" });
after(() => {
  files.remove();
  roots.remove();
});

function yaml(identity: string, endpoints = "[{address: 10.0.0.1:80}]"): string {
  const proxy = `{apiVersion: weft.dev/v1alpha1, kind: Proxy, metadata: {name: p}, spec: {identity: ${identity}}}`;
  return `${proxy}\n---\n{apiVersion: weft.dev/v1alpha1, kind: Service, metadata: {name: web}, spec: {endpoints: ${endpoints}}}\n`;
}

function load(text: string): ProxySnapshot {
  const result = loadConfig({ text, label: "x" });
  assert.ok("snapshot" in result, JSON.stringify(result));
  return result.snapshot;
}

function said(text: string): string {
  const result = loadConfig({ text, label: "x" });
  assert.ok("problems" in result, "it was taken");
  return result.problems.map(formatProblem).join("\n");
}

describe("spec.identity", () => {
  const fromFiles = `{cert: ${files.cert}, key: ${files.key}, trust: ${roots.cert}}`;

  it("takes files: the identity is the certificate's name, and only it holds the key", () => {
    const { identity, meshIdentity, ...rest } = load(yaml(fromFiles));
    assert.deepEqual(identity, { kind: "files", certFile: files.cert, keyFile: files.key, trustFile: roots.cert });
    assert.equal(meshIdentity?.name, NAME);
    assert.match(meshIdentity.key, /PRIVATE KEY/);
    assert.equal(meshIdentity.trust, authority.cert);
    assert.doesNotMatch(JSON.stringify([identity, rest]), /PRIVATE KEY/);
  });

  it("takes an identity component", () => {
    const { identity, meshIdentity } = load(yaml('{controller: "127.0.0.1:8080", token: /run/token, keep: /var/lib/weft}'));
    assert.deepEqual(identity, {
      kind: "controller",
      controller: { host: "127.0.0.1", port: 8080 },
      tokenFile: "/run/token",
      keep: "/var/lib/weft",
    });
    assert.equal(meshIdentity, undefined);
  });

  it("takes an identity component to which a service account's token leads, with the roots that it may be sent to", () => {
    const source = (text: string) => {
      const { identity } = load(yaml(text));
      assert.ok(identity?.kind === "controller");
      return identity.tokenTrust;
    };
    const start = '{controller: "identity:8080", token: /run/token, trust: /run/roots.pem';
    assert.deepEqual(source(`${start}}`), { file: "/run/roots.pem", mesh: { controlNamespace: "weft", trustDomain: "cluster.local" } });
    assert.deepEqual(source(`${start}, mesh: mesh.example.org}`), {
      file: "/run/roots.pem",
      mesh: { controlNamespace: "mesh", trustDomain: "example.org" },
    });
    assert.match(
      said(yaml('{controller: "identity:8080", mesh: weft.cluster.local}')),
      /spec\.identity\.mesh is set without spec\.identity\.trust/,
    );
    assert.match(said(yaml(`${start}, mesh: weft}`)), /a control namespace and a trust domain such as weft\.cluster\.local/);
    assert.match(said(yaml(`${start.replace("/run/roots", "roots")}}`)), /relative path/);
  });

  for (const [what, identity, expected] of [
    ["nothing", "{}", /spec\.identity says nothing.*either controller, or all of cert, key and trust/s],
    ["half of the files", `{cert: ${files.cert}, key: ${files.key}}`, /spec\.identity has no trust/],
    ["both", `{controller: "127.0.0.1:8080", cert: ${files.cert}}`, /spec\.identity\.cert is set beside spec\.identity\.controller/],
    ["a token without a component", "{token: /run/token}", /spec\.identity\.token is set without spec\.identity\.controller/],
    ["a leaf as trust root", `{cert: ${files.cert}, key: ${files.key}, trust: ${files.cert}}`, /is no authority's/],
    ["an unknown key", "{control: x}", /control is not a key of spec\.identity; did you mean controller\?/],
  ] as const) {
    it(`refuses ${what}`, () => assert.match(said(yaml(identity)), expected));
  }
});

describe("endpoints with an identity", () => {
  const withIdentity = `[{address: 10.0.0.1:80, identity: ${NAME}}, {address: 10.0.0.2:80}, {dns: web:80, identity: "spiffe://cluster.local/ns/shop/sa/web"}]`;

  it("reach the workers by address", () => {
    const { services } = load(yaml('{controller: "127.0.0.1:8080"}', withIdentity));
    const service = workerService(services[0]!, "default", () => ["10.0.0.1:80", "10.0.0.3:80"]);
    assert.deepEqual(service.endpoints, ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
    assert.deepEqual(service.identities, { "10.0.0.1:80": NAME, "10.0.0.3:80": "spiffe://cluster.local/ns/shop/sa/web" });
  });

  it("need a proxy with an identity", () => {
    const text = yaml("{}", withIdentity).replace("identity: {}", "workers: 1");
    assert.match(said(text), /spec\.endpoints\[0\]\.identity is set, and Proxy p has no identity itself/);
  });

  for (const identity of ["WEB.shop.local", "web", "web..local", "spiffe://", "web.shop.local\\0", "*.shop.local"]) {
    it(`refuse ${identity}`, () => {
      assert.match(
        said(yaml('{controller: "127.0.0.1:8080"}', `[{address: 10.0.0.1:80, identity: "${identity}"}]`)),
        /expected an identity such as/,
      );
    });
  }
});
