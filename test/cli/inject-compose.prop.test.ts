// Compose files of any style, made up: injected, they mean what they meant, but for the sidecars; injected again, they stay; taken back, they are the same bytes.
//
// What a file means is read by the yaml package with merge keys, not by the code under test.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { injectCompose, uninjectCompose } from "../../src/cli/inject/compose/inject-compose.ts";
import type { InjectOptions } from "../../src/cli/inject/injection.ts";

const OPTIONS: InjectOptions = {
  namespace: "default",
  trustDomain: "cluster.local",
  image: "weft",
  defaults: new Map(),
  folder: "./.weft",
  tokenGroup: null,
};

/** Keys that a meshed service gives to its holder, or that get another value. */
const GIVEN_AWAY = ["ports", "expose", "networks", "dns", "hostname", "extra_hosts", "links", "depends_on", "network_mode"];

/** A key of a service as lines, the first without indentation, the rest relative to it; `I` is a step of indentation. */
const KEYS: readonly (readonly string[])[] = [
  ["image: nginx:1.25   # pinned"],
  ['ports: ["8080:80", "${TLS:-8443}:443/tcp"]'],
  ["ports:", "- 80:80", "# why", "- target: 90", "  published: 9090"],
  ["ports: &ports", "I- '7000-7002:7000-7002'"],
  ["ports: *ports"],
  ["expose: [3000, 4000/udp]"],
  ["expose: &exposed", "I- 3306"],
  ["expose: *exposed"],
  ["networks: [default, back]"],
  ["networks:", "Iback:", "IIaliases: [other]", "Idefault:"],
  ["networks: {back: {aliases: &names [one, two]}}"],
  ["depends_on: [s0]"],
  ["depends_on:", "Is0:", "IIcondition: service_started # at least"],
  ["environment:", "I<<: *env", "IPRICE: 5 $$", "IA: 'x'"],
  ["environment:", "- A=1", '- "B=${B:-b # no remark}"'],
  ["environment: &own {X: y}"],
  ["labels: {a.b: c, linkerd.io/inject: disabled}"],
  ["labels:", "- config.linkerd.io/opaque-ports=3000", "", "- x=y"],
  ["command: |", "Iif true; then", "II# no remark: of YAML", "", "IIecho '#weft is not a mark here'", "Ifi"],
  ["command: >-", "I--a", "I--b", ""],
  ["command:", "I- sh", "I- -c", "I- |-", "IIa: b", "", "IIc"],
  ["entrypoint: plain text that goes", "Ion in the next line"],
  ["network_mode: host"],
  ["network_mode: service:s0"],
  ["deploy: {replicas: 2}"],
  ['hostname: "h\\u0041"'],
  ["dns: 10.0.0.1"],
  ["extra_hosts:", "I- 'a:10.0.0.2'"],
  ["links: [s0, 's0:db']"],
  ["profiles: [debug]"],
  ["x-more: [1, {a: b}, 0o17, yes, 1_000, ~, '']"],
  ["restart: always"],
  ["? stop_signal", ": SIGINT"],
  ["'stop_grace_period' : 1m"],
  ["<<: *base"],
  ["<<: [*base, *env]"],
  ["<<: *s0"],
];

const keyOf = (lines: readonly string[]): string => lines[0]!.slice(0, lines[0]!.indexOf(":"));

/** A block-style service: each key once; keys that name anchors of services are for later ones. */
const keysOfService = fc.uniqueArray(fc.integer({ min: 0, max: KEYS.length - 1 }), {
  maxLength: 9,
  selector: (index) => keyOf(KEYS[index]!),
});

const service = fc.oneof(
  { weight: 8, arbitrary: keysOfService.map((keys) => ({ kind: "block" as const, keys })) },
  { weight: 1, arbitrary: fc.constant({ kind: "flow" as const, keys: [] }) },
  { weight: 1, arbitrary: fc.constant({ kind: "alias" as const, keys: [] }) },
);

const file = fc.record({
  services: fc.array(service, { minLength: 1, maxLength: 5 }),
  step: fc.constantFrom(2, 3, 4),
  lineEnd: fc.constantFrom("\n", "\r\n"),
  endsWithLine: fc.boolean(),
  blankLines: fc.boolean(),
  begin: fc.constantFrom("", "\uFEFF", "%YAML 1.1\n---\n", "---\n", "--- # begins\n"),
  end: fc.constantFrom("", "...", "# the end"),
  networks: fc.constantFrom("none", "before", "after", "empty", "flow"),
  secrets: fc.constantFrom("none", "block", "flow"),
  version: fc.constantFrom("", "version: '2.4'", 'version: "3.8"  # old'),
});

type Shape = typeof file extends fc.Arbitrary<infer T> ? T : never;

/** The text of a file. Anchors of ports and the like are given by the first service that has them; their aliases before that fall away. */
function write(shape: Shape): string {
  const step = " ".repeat(shape.step);
  const lines: string[] = ["# a file"];
  const add = (depth: number, line: string): void => {
    const [, steps = "", text = ""] = /^(I*)(.*)$/.exec(line)!;
    lines.push(text === "" ? "" : step.repeat(depth + steps.length) + text);
  };
  const addAll = (all: readonly string[]): void => {
    for (const line of all) add(0, line);
  };
  if (shape.version !== "") add(0, shape.version);
  const networks = (): void => addAll(["networks:", "Iback: # remark", "IIdriver: bridge", "Iother:"]);
  if (shape.networks === "before") networks();
  for (const line of ["x-base: &base", "Iimage: base", "Iports: ['99']", "Irestart: 'no'", "x-env: &env {E: 1, F: '2'}", ""]) add(0, line);
  add(0, "services:");
  const anchors = new Set<string>();
  for (const [index, { kind, keys }] of shape.services.entries()) {
    if (shape.blankLines) lines.push("", "# above");
    if (kind === "flow") add(1, `s${index}: {image: flow, ports: ["8${index}:80"], environment: {A: "}"}}`);
    else if (kind === "alias" && anchors.has("s0")) add(1, `s${index}: *s0`);
    else {
      add(1, `s${index}:${index === 0 ? " &s0" : ""} # service`);
      if (index === 0) anchors.add("s0");
      add(2, `x-name: s${index}`);
      for (const key of keys) {
        const [first, ...more] = KEYS[key]!;
        const alias = /: \*(ports|exposed|s0)$/.exec(first!)?.[1];
        if (alias !== undefined && (!anchors.has(alias) || index === 0)) continue;
        const anchor = /&(ports|exposed)/.exec(first!)?.[1];
        if (anchor !== undefined) anchors.add(anchor);
        // Nobody can be in the namespace of itself, or wait for itself.
        if (index === 0 && /s0/.test(KEYS[key]!.join())) continue;
        add(2, first!);
        for (const line of more) add(2, line);
      }
    }
  }
  if (shape.networks === "after") networks();
  if (shape.networks === "empty") add(0, "networks:");
  if (shape.networks === "flow") add(0, "networks: {back: {}, other: {internal: true}}");
  if (shape.secrets === "block") addAll(["secrets:", "Ikey:", "IIfile: ./key"]);
  if (shape.secrets === "flow") add(0, "secrets: {key: {file: ./key}}");
  if (shape.end !== "") lines.push(shape.end);
  return shape.begin.replaceAll("\n", shape.lineEnd) + lines.join(shape.lineEnd) + (shape.endsWithLine ? shape.lineEnd : "");
}

type Meaning = Record<string, Record<string, unknown>>;

function meaning(text: string): Meaning {
  return (parse(text, { merge: true, maxAliasCount: -1 }) as { services: Meaning }).services;
}

function without(service: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(service).filter(([key]) => !keys.includes(key)));
}

test("any file means what it meant, stays when it is injected again, and comes back byte for byte", () => {
  let injected = 0;
  fc.assert(
    fc.property(file, (shape) => {
      const text = write(shape);
      const source = { file: "compose.yml", text };
      const result = injectCompose(source, OPTIONS);
      if (result.text === null) {
        // Readers do not agree whether a block of text at the end of the file then ends with a line end.
        if (!shape.endsWithLine && result.problems[0]?.message.includes("has no line end") === true) return;
        // Nothing can be done: everything is skipped by name.
        assert.ok(result.outcomes.length > 0 && result.outcomes.every(({ what }) => what === "skipped"), JSON.stringify(result.problems));
        return;
      }
      const before = meaning(text);
      const after = meaning(result.text);
      for (const { workload, what } of result.outcomes) {
        const name = workload.slice(9, -1);
        const [was, is] = [before[name]!, after[name]!];
        if (what === "skipped") {
          const joins = String(was["network_mode"]) === "service:s0";
          assert.deepEqual(without(is, joins ? ["network_mode"] : []), without(was, joins ? ["network_mode"] : []), name);
          continue;
        }
        injected += 1;
        assert.deepEqual(without(is, GIVEN_AWAY), without(was, GIVEN_AWAY), name);
        assert.equal(is["network_mode"], `service:${name}-net`);
        for (const key of ["ports", "expose", "networks", "dns", "hostname", "extra_hosts", "links"])
          assert.ok(!(key in is), `${name}.${key}`);
        const holder = after[`${name}-net`]!;
        for (const key of ["ports", "expose", "dns", "hostname", "extra_hosts"])
          assert.deepEqual(holder[key], was[key], `${name}-net.${key}`);
        assert.equal((is["depends_on"] as Record<string, { condition: string }>)[`${name}-proxy`]!.condition, "service_healthy");
      }
      assert.equal(injectCompose({ file: "compose.yml", text: result.text }, OPTIONS).text, result.text);
      assert.equal(uninjectCompose({ file: "compose.yml", text: result.text }).text, text);
    }),
    { numRuns: 250 },
  );
  assert.ok(injected > 100, `only ${injected} services were injected`);
});
