// Manifests in any layout that YAML has: what was put in comes out again, and nothing else of the text changes.
//
// Each case is one workload written in a layout of its own: block, flow or JSON at every level, lists indented or not, comments and blank
// lines in between, CR LF, keys that are absent, empty or null.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { injectKubernetes } from "../../src/cli/inject/kubernetes/inject.ts";
import { defaultInjectOptions } from "../../src/cli/inject/kubernetes/options.ts";
import { uninjectKubernetes } from "../../src/cli/inject/kubernetes/uninject.ts";
import { Authority } from "../support/certificates.ts";

const RUNS = 200;
const ROOTS = new Authority().cert;

function inject(text: string, options = defaultInjectOptions()): ReturnType<typeof injectKubernetes> {
  return injectKubernetes([{ file: "app.yaml", text }], options);
}

type Tree = string | number | boolean | null | Tree[] | { [key: string]: Tree };
/** Stands for a key with nothing behind its colon. */
const EMPTY = "(empty)";

/** Takes the next decision from a list that fast-check shrinks. */
class Choices {
  readonly #list: readonly number[];
  #at = 0;

  constructor(list: readonly number[]) {
    this.#list = list;
  }

  pick<T>(...values: readonly T[]): T {
    const choice = this.#list[this.#at++ % this.#list.length]!;
    return values[choice % values.length]!;
  }
}

function scalar(value: Tree): string {
  if (value === null) return "null";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function flow(value: Tree, choices: Choices): string {
  const space = choices.pick("", " ");
  const comma = choices.pick(", ", ",", " , ");
  if (Array.isArray(value)) return `[${space}${value.map((item) => flow(item, choices)).join(comma)}${space}]`;
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).map(([key, inner]) => `${choices.pick(key, JSON.stringify(key))}: ${flow(inner, choices)}`);
    return `{${space}${pairs.join(comma)}${space}}`;
  }
  return value === EMPTY ? "null" : scalar(value);
}

/** Lines of a map or list at a column. */
function block(value: Tree[] | { [key: string]: Tree }, column: number, choices: Choices): string[] {
  const margin = " ".repeat(column);
  const lines: string[] = [];
  for (const [key, inner] of Array.isArray(value) ? value.map((item) => [null, item] as const) : Object.entries(value)) {
    lines.push(...choices.pick<string[]>([], [], [], [`${margin}# a comment`], [""]));
    const head = key === null ? `${margin}-` : `${margin}${choices.pick(key, key, JSON.stringify(key))}:`;
    const tail = choices.pick("", "", " # behind it");
    const isTree = typeof inner === "object" && inner !== null;
    const isEmpty = isTree && Object.keys(inner).length === 0;
    if (inner === EMPTY) lines.push(`${head}${tail}`);
    else if (!isTree) lines.push(`${head} ${scalar(inner)}${tail}`);
    else if (isEmpty || choices.pick(false, false, false, true)) lines.push(`${head} ${flow(inner, choices)}${tail}`);
    else if (key === null) {
      const [first, ...rest] = block(inner, column + 2, choices);
      // A comment or an empty line cannot stand behind the dash.
      if (first!.trim() === "" || first!.trim().startsWith("#")) lines.push(head, first!, ...rest);
      else lines.push(`${head} ${first!.slice(column + 2)}`, ...rest);
    } else
      lines.push(`${head}${tail}`, ...block(inner, column + (Array.isArray(inner) ? choices.pick(0, 2) : choices.pick(2, 4)), choices));
  }
  return lines;
}

function workload(choices: Choices): { [key: string]: Tree } {
  const annotations = choices.pick<Tree | undefined>(
    undefined,
    null,
    EMPTY,
    {},
    { "example.com/a": "b" },
    { "example.com/a": "b", "example.com/c": "yes" },
  );
  const labels = choices.pick<Tree | undefined>(undefined, { app: "web" });
  const metadata = choices.pick<Tree | undefined>(
    undefined,
    null,
    EMPTY,
    {},
    ...Array.from({ length: 6 }, () => ({ ...(labels !== undefined && { labels }), ...(annotations !== undefined && { annotations }) })),
  );
  const containers: Tree[] = [
    {
      name: "web",
      image: "web:1",
      ...choices.pick<{ [key: string]: Tree }>({}, { args: ["a\nb", "#c"] }, { ports: [{ containerPort: 8080 }] }),
    },
  ];
  if (choices.pick(false, true)) containers.push({ image: "more:1", name: "more" });
  const list = (...items: Tree[]) => choices.pick<Tree | undefined>(undefined, undefined, null, EMPTY, [], items, [...items, ...items]);
  const initContainers = list({ name: "wait", image: "busybox" });
  const volumes = list({ name: "data", emptyDir: {} });
  const spec = choices.pick(
    { containers, ...(initContainers !== undefined && { initContainers }), ...(volumes !== undefined && { volumes }) },
    {
      ...(volumes !== undefined && { volumes }),
      restartPolicy: "Always",
      ...(initContainers !== undefined && { initContainers }),
      containers,
    },
  );
  const template = choices.pick<{ [key: string]: Tree }>(
    { ...(metadata !== undefined && { metadata }), spec },
    { spec, ...(metadata !== undefined && { metadata }) },
  );
  const name = { name: "web" };
  return choices.pick<{ [key: string]: Tree }>(
    { apiVersion: "apps/v1", kind: "Deployment", metadata: name, spec: { template } },
    { apiVersion: "batch/v1", kind: "CronJob", metadata: name, spec: { schedule: "* * * * *", jobTemplate: { spec: { template } } } },
    { apiVersion: "v1", kind: "Pod", metadata: { ...name, ...(annotations !== undefined && { annotations }) }, spec },
  );
}

function written(choices: Choices): string {
  const resources = Array.from({ length: choices.pick(1, 1, 2, 3) }, () => workload(choices));
  const isList = choices.pick(false, false, true);
  const values = isList ? [{ apiVersion: "v1", kind: "List", items: resources }] : resources;
  const texts = values.map((value) =>
    choices.pick(
      block(value, 0, choices).join("\n"),
      block(value, 0, choices).join("\n"),
      flow(value, choices),
      JSON.stringify(parse(flow(value, choices)), null, 2),
    ),
  );
  const text =
    choices.pick("", "---\n", "# first\n") +
    texts.join(choices.pick("\n---\n", "\n...\n---\n", "\n\n--- # next\n")) +
    choices.pick("\n", "", "\n\n", "\n# last\n");
  return choices.pick(false, false, true) ? text.replaceAll("\n", "\r\n") : text;
}

const manifests = fc.array(fc.nat(1_000), { minLength: 40, maxLength: 200 }).map((list) => written(new Choices(list)));
const options = fc
  .record({ nativeSidecar: fc.boolean(), ipv6: fc.boolean(), trustRoots: fc.constantFrom(null, ROOTS) })
  .map((some) => ({ ...defaultInjectOptions(), ...some }));

describe("any layout", () => {
  it("comes back byte for byte, and what was injected is left alone", () => {
    fc.assert(
      fc.property(manifests, options, (text, chosen) => {
        const { text: injected, injected: count } = inject(text, chosen);
        assert.ok(count > 0);
        assert.notEqual(injected, text);
        assert.equal(uninjectKubernetes([{ file: "app.yaml", text: injected }]).text, text);
        const again = inject(injected, chosen);
        assert.equal(again.text, injected);
        assert.equal(again.injected, 0);
      }),
      { numRuns: RUNS },
    );
  });

  it("keeps every line of the text that was there, in its order", () => {
    fc.assert(
      fc.property(manifests, (text) => {
        const { text: injected } = inject(text);
        let at = 0;
        // A null makes room for what is put there.
        for (const character of text.replaceAll("null", "")) {
          at = injected.indexOf(character, at) + 1;
          if (at === 0) assert.fail("something is missing");
        }
      }),
      { numRuns: RUNS },
    );
  });

  it("is the same pod for the API server, whatever the layout", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { minLength: 40, maxLength: 120 }), (list) => {
        const value = workload(new Choices(list));
        const choices = () => new Choices(list.toReversed());
        const [asBlock, asFlow] = [block(value, 0, choices()).join("\n"), flow(value, choices())];
        const [left, right] = [asBlock, asFlow].map((text) => parse(inject(text).text));
        // What was there before is written down in an annotation, and null is written differently.
        const plain = (tree: unknown) => JSON.stringify(tree).replaceAll(/,?"weft\.dev\/added":"[^"]*"/g, "");
        assert.equal(plain(left), plain(right));
      }),
      { numRuns: RUNS },
    );
  });
});
