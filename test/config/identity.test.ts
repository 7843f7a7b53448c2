// `spec.identity` and endpoints with an identity: what reaches the snapshot and the workers, what is refused, that no key is shown.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import type { ProxySnapshot } from "../../src/config/snapshot.ts";
import { workerService } from "../../src/config/worker-update.ts";
import { Authority, CertificateFiles, type LeafOptions } from "../support/certificates.ts";

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

describe("spec.identity of files: what every peer would refuse is refused at the start, by the same rules", () => {
  const URI = "spiffe://cluster.local/ns/shop/sa/web";
  const made: CertificateFiles[] = [];
  after(() => {
    for (const one of made) one.remove();
  });

  function identityOf(leaf: LeafOptions): ReturnType<typeof loadConfig> {
    const one = new CertificateFiles(authority.issue(leaf));
    made.push(one);
    const text = `apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: p}
spec:
  identity:
    cert: ${one.cert}
    key: ${one.key}
    trust: ${roots.cert}
`;
    return loadConfig({ text, label: "proxy.yaml" });
  }

  for (const [what, leaf, code, words] of [
    ["two DNS names", { names: [NAME, NAME.replace("web", "other")] }, "WEFT_PEER_IDENTITY", "several DNS names"],
    ["a DNS name and another's URI", { names: [NAME, URI.replace("web", "other")] }, "WEFT_PEER_IDENTITY", "is another workload's"],
    ["an address beside the name", { names: [NAME, "127.0.0.1"] }, "WEFT_PEER_IDENTITY", "neither DNS names nor URIs"],
    ["a name that is no workload's", { names: ["www.example.com"] }, "WEFT_PEER_IDENTITY", "is no workload's"],
    ["capitals in the name", { names: [NAME.replace("shop", "SHOP")] }, "WEFT_PEER_IDENTITY", "is no workload's"],
    ["NUL in the name", { names: [`${NAME}\0.example`] }, "WEFT_PEER_IDENTITY", ""],
    ["a common name only", { names: [], commonName: NAME }, "WEFT_PEER_IDENTITY", "no alternative name"],
    ["an unusual curve", { names: [NAME], keyKind: "P-521" }, "WEFT_PEER_WEAK_KEY", "none of P-256"],
    ["a purpose that is neither side's", { names: [NAME], usages: ["code"] }, "WEFT_PEER_PURPOSE", "extended key usage"],
  ] as const satisfies readonly (readonly [string, LeafOptions, string, string])[]) {
    it(`refuses ${what}: where, what, what to do`, () => {
      const result = identityOf(leaf);
      assert.ok("problems" in result, "it was taken");
      const [problem = "", ...others] = result.problems.map(formatProblem);
      assert.deepEqual(others, []);
      assert.ok(problem.startsWith("proxy.yaml:6:11: spec.identity.cert is "), problem);
      assert.ok(problem.includes(`every peer would refuse ([${code}])`) && problem.includes(words), problem);
      assert.match(problem, /; (?:issue it with|make it anew)/);
    });
  }

  it("refuses a URI alone, and says which name belongs beside it", () => {
    const result = identityOf({ names: [URI] });
    assert.ok("problems" in result);
    assert.match(result.problems.map(formatProblem).join(), /has a URI and no DNS name.*for example web\.shop\.serviceaccount\./);
  });

  it("takes both forms together, and warns of a purpose that is one side's only", () => {
    const both = identityOf({ names: [NAME, URI], usages: ["server", "client"] });
    assert.ok("snapshot" in both, JSON.stringify(both));
    assert.equal(both.snapshot.meshIdentity?.name, NAME);
    assert.deepEqual(both.warnings, []);
    const server = identityOf({ names: [NAME], usages: ["server"] });
    assert.ok("snapshot" in server);
    assert.match(server.warnings.map(formatProblem).join(), /peers refuse where this proxy is the client \(\[WEFT_PEER_PURPOSE\]\)/);
  });
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

  for (const identity of [
    "WEB.shop.local",
    "web",
    "web..local",
    "spiffe://",
    "web.shop.local\\0",
    "*.shop.local",
    `${NAME.replace("web", "w".repeat(64))}`,
    "spiffe://cluster.local/ns/shop/sa/web/",
  ]) {
    it(`refuse ${identity}`, () => {
      assert.match(
        said(yaml('{controller: "127.0.0.1:8080"}', `[{address: 10.0.0.1:80, identity: "${identity}"}]`)),
        /expected an identity such as/,
      );
    });
  }
});
