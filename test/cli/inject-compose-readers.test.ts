// Compose files that readers of YAML do not agree on, or whose meaning would not survive: refused, or written so that it does survive.
//
// Each of them was once injected in silence, to something else than it was.

import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { parse } from "yaml";
import { runWeft } from "../support/weft-command.ts";

const inject = (text: string): ReturnType<typeof runWeft> => runWeft(["inject", "--dry-run", "-"], { cwd: tmpdir(), stdin: text });

const WEB = "services:\n  web:\n    image: a\n";

/** What is wrong, the text, what is said. */
const REFUSED: readonly [string, string, RegExp][] = [
  ["services twice", `${WEB}services:\n  db: {image: b}\n`, /:4:1: the key services stands here twice; remove one/],
  ["secrets twice", `${WEB}secrets:\n  a: {file: a}\n"secrets":\n  b: {file: b}\n`, /:6:1: the key secrets stands here twice/],
  [
    "<< twice",
    "x-a: &a {tty: true}\nservices:\n  web:\n    <<: *a\n    <<: *a\n    image: a\n",
    /:5:5: the key << stands here twice; <<: \[/,
  ],
  ["<< at the top", `x-r: &r\n  networks: {a: {}}\n<<: *r\n${WEB}`, /:3:1: << stands at the top/],
  ["a carriage return alone", `${WEB}    ports: ['1:1'] # a\r    b: c\n`, /:4:23: the character U\+000D ends a line for some/],
  ["a line separator", '{"services": {"web": {"image": "a\u2028b"}}}', /:1:\d+: the character U\+2028 ends a line for some/],
  [
    "a block at the end without a line end",
    `${WEB}    command: |\n      run`,
    /:5:9: the last line is of a block of text, and has no line end; add one/,
  ],
  [
    "binary text",
    "services:\n  web: {image: a, environment: {A: !!binary aGVsbG8=}}\n",
    /:2:\d+: what stands behind tag:.*binary is not text/,
  ],
  ["a name that is none of compose's", `${WEB}  "a b": {image: b}\n`, /:4:3: "a b" is no name of a service/],
  [
    "a secret of ours",
    `${WEB}    secrets: [weft-token-web]\nsecrets: {weft-token-web: {file: mine}}\n`,
    /:5:1: the secret weft-token-web is in the way/,
  ],
  [
    "marks of its own",
    `${WEB}    command: |\n      #weft+begin\n      a\n      #weft+end\n`,
    /:5:1: this line looks like a mark of weft inject, but no service/,
  ],
  ["a line of its own like a removed one", `x-a: |\n  a\n#weft-b: c\n${WEB}`, /:3:1: this line looks like a mark of weft inject/],
];

for (const [what, text, expected] of REFUSED) {
  test(`refuses ${what}`, async () => {
    const { code, stdout, stderr } = await inject(text);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /\n +at /);
  });
}

test("lines like marks in a file that is not injected are not taken away", async () => {
  const { code, stdout, stderr } = await runWeft(["uninject", "-"], {
    cwd: tmpdir(),
    stdin: `${WEB}    command: |\n      #weft+begin\n      a\n      #weft+end\n`,
  });
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /:5:1: this line looks like a mark/);
});

test("parts of Weft whose marks were removed do not come back as the file's own", async () => {
  const injected = await inject(`${WEB}    ports: ["80:80"]\n`);
  const lines = injected.stdout.split("\n");
  const first = lines.findIndex((line, index) => line === "  #weft+begin" && lines[index + 1] === "  web-net:");
  lines.splice(first, 1);
  lines.splice(lines.indexOf("  #weft+end", first), 1);
  const { code, stdout, stderr } = await runWeft(["uninject", "-"], { cwd: tmpdir(), stdin: lines.join("\n") });
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /web-net was made by weft inject, but stands outside of its marks/);
});

test("services that << brings are injected as well", async () => {
  const { stdout } = await inject("x-s: &s\n  web: {image: a, expose: [80]}\nservices:\n  <<: *s\n  db: {image: b}\n");
  const { services } = parse(stdout) as { services: Record<string, { image: string; network_mode?: string }> };
  assert.deepEqual(Object.keys(services), ["db", "web", "db-net", "db-init", "db-proxy", "web-net", "web-init", "web-proxy"]);
  assert.deepEqual([services.web!.image, services.web!.network_mode], ["a", "service:web-net"]);
});

test("names that YAML takes for something else stay names, and tags and rare characters what they are", async () => {
  const { stdout, stderr } = await inject(
    "services:\n  'true': {image: a}\n  '0': {image: a}\n  web: {image: a, depends_on: ['true', '0'], environment: {A: !!str 5, B: \"\\x7f\\L\", C: !!str }}\n",
  );
  assert.match(stdout, /^ {6}"0":\n {8}condition: service_started\n {6}"true":\n/m, stderr);
  const { services } = parse(stdout) as { services: Record<string, { environment: Record<string, string> }> };
  assert.deepEqual(services.web!.environment, { A: "5", B: "\u007F\u2028", C: "" });
  // Characters that not every reader takes as they are.
  assert.doesNotMatch(stdout.replaceAll(/^#weft-.*\n/gm, ""), /[\u007f-\u009f\u2028\u2029]/);
});

test("the proxy's user is found in other ways of writing it", async () => {
  for (const user of ["02102", "02102:5", "${UID:-2102}", "${UID-2102}:5"]) {
    const { code, stderr } = await inject(`services:\n  web: {image: a, user: "${user}"}\n`);
    assert.equal(code, 1);
    assert.match(stderr, /service "web" skipped: it runs as user 2102, the proxy's own/);
  }
  assert.equal((await inject('services:\n  web: {image: a, user: "21020:2102"}\n')).code, 0);
});
