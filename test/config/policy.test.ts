// Policies of inbound ports: what reaches the workers. What is refused: test/fixtures/config/mistakes.md.

import assert from "node:assert/strict";
import { it } from "node:test";
import { CLUSTER_NETWORKS_MAX, RULE_ENTRIES_MAX, RULES_MAX } from "../../src/config/compile-policy.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { DEFAULT_CLUSTER_NETWORKS } from "../../src/core/policy/default-policy.ts";

function load(inbound: string): ReturnType<typeof loadConfig> {
  const spec = `{identity: {controller: "127.0.0.1:8080"}, inbound: {target: "127.0.0.1:8081", ${inbound}}}`;
  return loadConfig({ text: `{apiVersion: weft.dev/v1alpha1, kind: Proxy, metadata: {name: p}, spec: ${spec}}`, label: "x" });
}

/** The policies of the inbound listeners by id. */
function policies(inbound: string): Record<string, unknown> {
  const result = load(inbound);
  assert.ok("snapshot" in result, JSON.stringify(result));
  const { listeners } = result.snapshot;
  assert.ok(listeners.every(({ direction, policy }) => direction === "inbound" || policy === undefined));
  return Object.fromEntries(listeners.filter(({ direction }) => direction === "inbound").map(({ id, policy }) => [id, policy]));
}

it("nothing said admits anyone", () => {
  assert.deepEqual(policies("ports: [{port: 90, target: '127.0.0.1:9090'}]"), { inbound: undefined, "inbound/90": undefined });
  assert.deepEqual(policies("policy: all-unauthenticated"), { inbound: undefined });
});

it("a port has the policy of spec.inbound, or its own", () => {
  const ports = ["{port: 90, target: '127.0.0.1:9090'}", "{port: 91, target: '127.0.0.1:9091', policy: all-unauthenticated}"];
  assert.deepEqual(policies(`policy: all-authenticated, ports: [${ports.join(", ")}]`), {
    inbound: { name: "all-authenticated", networks: [] },
    "inbound/90": { name: "all-authenticated", networks: [] },
    "inbound/91": undefined,
  });
});

it("networks are the default ones, or those that are listed, in one form and once", () => {
  const byDefault = { name: "cluster-authenticated", networks: DEFAULT_CLUSTER_NETWORKS };
  assert.deepEqual(policies("policy: cluster-authenticated"), { inbound: byDefault });
  assert.deepEqual(policies("policy: cluster-unauthenticated, clusterNetworks: [10.0.0.0/8, 'FD00:0::/8', 10.0.0.0/8, 'fd00::/8']"), {
    inbound: { name: "cluster-unauthenticated", networks: ["10.0.0.0/8", "fd00::/8"] },
  });
});

it("networks are not without number", () => {
  const texts = Array.from({ length: CLUSTER_NETWORKS_MAX + 1 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
  const result = load(`policy: cluster-unauthenticated, clusterNetworks: [${texts.join(", ")}]`);
  assert.ok("problems" in result);
  assert.match(result.problems.map(formatProblem).join(), /has 257 networks; 256 at most/);
  assert.ok("snapshot" in load(`policy: cluster-unauthenticated, clusterNetworks: [${texts.slice(1).join(", ")}]`));
});

it("ordinary TLS proves nothing: a policy that asks for identities is refused there, also when it is inherited", () => {
  const tls = "tls: {cert: /no.crt, key: /no.key}";
  const said = (inbound: string): string => {
    const result = load(inbound);
    assert.ok("problems" in result);
    return result.problems.map(formatProblem).join("\n");
  };
  const expected =
    /spec\.inbound\.policy is all-authenticated, and spec\.inbound\.tls is ordinary TLS.*nobody could come in; mesh TLS needs no tls key/;
  assert.match(said(`policy: all-authenticated, ${tls}`), expected);
  assert.match(
    said(`policy: all-authenticated, ports: [{port: 90, target: '127.0.0.1:9090', ${tls}}]`),
    /spec\.inbound\.ports\[0\]\.tls is ordinary TLS/,
  );
  assert.doesNotMatch(said(`policy: cluster-unauthenticated, ${tls}`), /ordinary TLS/);
});

it("rules reach the workers in one form, with names of their own, and are inherited like any policy", () => {
  const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
  const allow = `[{identities: [${NAME}, ${NAME}]}, {name: office, networks: [{cidr: "FD00:0::/8", except: ["fd01:0::/16"]}, {cidr: 10.0.0.0/8}]}]`;
  const own = "{port: 91, target: '127.0.0.1:9091', policy: {allow: [{identities: ['*']}]}}";
  const compiled = policies(`policy: {allow: ${allow}}, ports: [{port: 90, target: '127.0.0.1:9090'}, ${own}]`);
  const rules = [
    { name: "allow-1", identities: [NAME], networks: null },
    {
      name: "office",
      identities: null,
      networks: [
        { cidr: "fd00::/8", except: ["fd01::/16"] },
        { cidr: "10.0.0.0/8", except: [] },
      ],
    },
  ];
  assert.deepEqual(compiled, {
    inbound: { name: "inbound", allow: rules },
    "inbound/90": { name: "inbound", allow: rules },
    "inbound/91": { name: "inbound/91", allow: [{ name: "allow-1", identities: ["*"], networks: null }] },
  });
});

it("rules and what is in them are not without number", () => {
  const said = (allow: string): string => {
    const result = load(`policy: {allow: ${allow}}`);
    return "problems" in result ? result.problems.map(formatProblem).join("\n") : "";
  };
  const times = (count: number, one: string): string => `[${Array.from({ length: count }, () => one).join(", ")}]`;
  assert.match(said(times(RULES_MAX + 1, "{identities: ['*']}")), /allow has 65 rules; 64 at most/);
  assert.equal(said(times(RULES_MAX, "{identities: ['*']}")), "");
  assert.match(said(`[{identities: ${times(RULE_ENTRIES_MAX + 1, "'*'")}}]`), /identities has 257 identities; 256 at most/);
  assert.match(said(`[{networks: ${times(RULE_ENTRIES_MAX + 1, "{cidr: 10.0.0.0/8}")}}]`), /networks has 257 networks; 256 at most/);
});
