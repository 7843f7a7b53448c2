// What `weft inject` says of files that it cannot inject, or not in part: where, what, what to do; and that there is then no output, not half of one.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runWeft } from "../support/weft-command.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-inject-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Injects a text from standard input. */
function inject(text: string | Buffer, ...options: string[]): ReturnType<typeof runWeft> {
  return runWeft(["inject", "--dry-run", ...options, "-"], { cwd: folder, stdin: text });
}

/** What is wrong with the whole file: its name, the text, and what is said. */
const REFUSED: readonly [string, string, RegExp][] = [
  ["text that is no YAML", "services:\n  web: [1\n", /^standard input:\d+:\d+: .*bracket is not closed/],
  ["a tab", "services:\n\tweb: {image: a}\n", /^standard input:2:1: a tab stands where YAML wants spaces/],
  ["nothing", "# only a remark\n", /^standard input:1:1: the file is empty/],
  ["no map", "- a\n- b\n", /^standard input:1:1: this is no compose file: there is no `services`/],
  ["something else", "kubelet: {a: 1}\n", /^standard input:1:1: this is no compose file/],
  ["format 1", "web:\n  image: nginx\n", /^standard input:1:1: there is no `services`: this looks like format 1.*; put the services below/],
  ["services that are none", "services: [web]\n", /^standard input:1:1: services is not a map/],
  [
    "a service that is none",
    "services:\n  web:\n  image: nginx\n",
    /^standard input:2:3: services\.web is not a map of keys; is the next line/,
  ],
  ["a key twice", "services:\n  web:\n    image: a\n    image: b\n", /^standard input:4:5: the key image stands here twice; remove one/],
  ["a service twice", "services:\n  web: {image: a}\n  web: {image: b}\n", /^standard input:3:3: the key web stands here twice/],
  ["an alias of nothing", "services:\n  web: {image: a, environment: *env}\n", /^standard input:2:32: there is no anchor &env/],
  ["two documents", "services:\n  a: {image: a}\n---\nservices:\n  b: {image: b}\n", /^standard input:3:1: a second document begins here/],
  ["a circle of anchors", "services: &s\n  web: {image: a, x-a: *s}\n", /nested more than 64 deep/],
  [
    "a circle of extends",
    "services:\n  a: {extends: b}\n  b: {extends: a}\n",
    /^standard input:2:16: extends goes more than 16 bases deep/,
  ],
  ["a base that is not there", "services:\n  a: {extends: b}\n", /^standard input:2:16: extends: there is no service b in this file/],
  [
    "a base's file that is not there",
    "services:\n  a: {extends: {file: no.yml, service: b}}\n",
    /^standard input:2:\d+: extends: no\.yml cannot be read: ENOENT/,
  ],
  [
    "a name of ours",
    "services:\n  web: {image: a}\n  web-net: {image: b}\n",
    /^standard input:3:3: the service web-net is in the way: web gets a sidecar of that name; rename it/,
  ],
  [
    "the component's name",
    "services:\n  web: {image: a}\n  weft-identity: {image: b}\n",
    /^standard input:3:3: the service weft-identity is in the way/,
  ],
  [
    "the network's name",
    "services:\n  web: {image: a}\nnetworks:\n  weft-mesh:\n    external: true\n",
    /^standard input:4:3: the network weft-mesh is in the way/,
  ],
  [
    "two names that are one",
    "services:\n  my_web: {image: a}\n  my-web: {image: b}\n",
    /^standard input:3:3: the services my_web and my-web are both my-web in identities/,
  ],
  ["manifests", "apiVersion: v1\nkind: Pod\n---\nservices: {}\n", /compose files and Kubernetes manifests do not go together/],
];

for (const [what, text, expected] of REFUSED) {
  test(`refuses ${what}`, async () => {
    const { code, stdout, stderr } = await inject(text);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /\n +at /);
  });
}

test("billions of aliases cost nothing", async () => {
  const lines = ["x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 12; level++)
    lines.push(
      `x-${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(", ")}]`,
    );
  const { code, stdout, stderr } = await inject(`${lines.join("\n")}\nservices:\n  web: {image: a, x-bomb: *a11}\n`);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /more than 1000000 values, aliases counted/);
});

test("more services than a sidecar's configuration can name are refused", async () => {
  const services = Array.from({ length: 800 }, (_, index) => `  service-${index}: {image: a, expose: [80]}`).join("\n");
  const { code, stdout, stderr } = await inject(`services:\n${services}\n`);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^standard input:2:3: service "service-0": its sidecar would need more than the 131008 bytes of configuration/);
});

test("ports by variables are known when they can be nothing else, and told when not", async () => {
  const { stdout, stderr } = await inject(
    'services:\n  a: {image: a, ports: ["${A:-80}:${B:-81}", "${C:-82}", "1:${D}", "${E}", "${F:-9:90}", "${G:+83}"], expose: ["${H}", "84-85", "x"]}\n  b: {image: b}\n',
  );
  const known = [...stdout.matchAll(/dns: "a:(.*)"/g)].map(([, port]) => port);
  assert.deepEqual(known, ["${B:-81}", "${C:-82}", "${D}", "${H}", "84", "85"]);
  for (const port of ["${E}", "${F:-9:90}", "${G:+83}", "x"])
    assert.ok(
      stderr.includes(`warning: service "a": the port ${JSON.stringify(port)} is none that Weft can read; calls to it go without the mesh`),
      stderr,
    );
});

test("bytes that are no UTF-8 are refused, and so is a folder, and a file that is not there", async () => {
  assert.match((await inject(Buffer.from([0x73, 0xff, 0xfe]))).stderr, /^weft inject: standard input is not UTF-8\n$/);
  assert.match((await runWeft(["inject", "."], { cwd: folder })).stderr, /^weft inject: \. has 0 files that end in /);
  const missing = await runWeft(["inject", "no.yml"], { cwd: folder });
  assert.deepEqual([missing.code, missing.stdout, missing.stderr], [1, "", "weft inject: no.yml: there is no such file or folder\n"]);
});

/** Services that are left alone, and why. */
const SKIPPED: readonly [string, string, RegExp][] = [
  ["the host's network", "network_mode: host", /network_mode: host: the rules of a sidecar would be the host's/],
  ["no network", 'network_mode: "none"', /network_mode: none: it has no network/],
  ["another container's network", 'network_mode: "container:abc"', /the network namespace is another's/],
  ["a variable network", "network_mode: ${MODE:-bridge}", /sidecars need networks of compose/],
  ["replicas", "deploy: {replicas: 2}", /deploy\.replicas is 2: replicas cannot share one network namespace; write them as services/],
  ["a variable number of replicas", "scale: ${COUNT}", /scale is \$\{COUNT\}/],
  ["a number of replicas by default", 'deploy: {replicas: "${COUNT:-4}"}', /deploy\.replicas is \$\{COUNT:-4\}/],
  [
    "port 4143",
    "expose: [4143]",
    /it listens on port 4143, which its sidecar needs: let it listen elsewhere, or set config\.linkerd\.io\/inbound-port/,
  ],
  ["port 4140", 'ports: ["80:4140"]', /port 4140.*outbound-port/],
  ["port 4191", 'ports: ["4100-4200:4100-4200"]', /port 4140/],
  ["port 4190", "expose: [4190]", /port 4190, which its sidecar needs: let it listen elsewhere$/m],
  ["the proxy's user", 'user: "2102:100"', /it runs as user 2102, the proxy's own/],
];

for (const [what, line, expected] of SKIPPED) {
  test(`leaves a service alone with ${what}, and says so; alone in its file, that is a failure`, async () => {
    const both = await inject(`services:\n  odd:\n    image: a\n    ${line}\n  web:\n    image: b\n`);
    assert.equal(both.code, 0, both.stderr);
    assert.match(both.stderr, /^service "odd" skipped: /m);
    assert.match(both.stderr, expected);
    assert.match(both.stderr, /^service "web" injected$/m);
    assert.ok(both.stdout.startsWith(`services:\n  odd:\n    image: a\n    ${line}\n  web:\n    image: b\n`));
    assert.doesNotMatch(both.stdout, /odd-(?:net|init|proxy)/);
    const alone = await inject(`services:\n  odd:\n    image: a\n    ${line}\n`);
    assert.deepEqual([alone.code, alone.stdout], [1, ""]);
    assert.match(alone.stderr, expected);
  });
}

test("another port for the sidecar makes room for the service's", async () => {
  const { code, stdout, stderr } = await inject(
    'services:\n  web:\n    image: a\n    expose: ["4143"]\n    labels: [config.linkerd.io/inbound-port=5143]\n',
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /command: \["init", "--incoming-proxy-port", "5143"\]/);
  assert.match(stdout, /listen: "0\.0\.0\.0:5143"/);
});

test("a file in which everything is disabled comes out as it is", async () => {
  const text = "services:\n  web: {image: a, labels: {linkerd.io/inject: disabled}}\n";
  const { code, stdout, stderr } = await inject(text);
  assert.deepEqual([code, stdout, stderr], [0, text, 'service "web" skipped: disabled by linkerd.io/inject\n']);
});

test("services of included files are named as not injected", async () => {
  const { code, stderr } = await inject("include: [other.yml]\nservices:\n  web: {image: a}\n");
  assert.equal(code, 0);
  assert.match(
    stderr,
    /^standard input:1:1: warning: services of included files are not injected; give those files to weft inject as well$/m,
  );
});

test("a base in another folder whose paths would mean something else is refused by name", async () => {
  mkdirSync(join(folder, "sub"));
  writeFileSync(join(folder, "sub/base.yml"), "services:\n  base: {build: ., ports: ['80'], volumes: ['./data:/data']}\n");
  const { code, stdout, stderr } = await inject("services:\n  web:\n    extends: {file: sub/base.yml, service: base}\n");
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^standard input:2:3: service "web": its base is in another folder .*\(build, volumes: \.\/data:\/data\)/);
});

describe("-o", () => {
  test("writes the whole file, through a link, and keeps its mode", async () => {
    writeFileSync(join(folder, "target.yml"), "old", { mode: 0o600 });
    symlinkSync("target.yml", join(folder, "link.yml"));
    const { code, stdout } = await inject("services:\n  web: {image: a}\n", "-o", "link.yml");
    assert.deepEqual([code, stdout], [0, ""]);
    assert.match(readFileSync(join(folder, "target.yml"), "utf8"), /web-proxy/);
  });

  test("changes nothing when there is an error", async () => {
    writeFileSync(join(folder, "kept.yml"), "old");
    const { code } = await inject("services:\n  web: {image: a}\n  web-net: {image: b}\n", "-o", "kept.yml");
    assert.equal(code, 1);
    assert.equal(readFileSync(join(folder, "kept.yml"), "utf8"), "old");
  });

  test("says so when it cannot be written, and leaves nothing behind", async () => {
    const { code, stderr } = await inject("services:\n  web: {image: a}\n", "-o", "no/where.yml");
    assert.deepEqual([code, stderr], [1, "weft inject: no/where.yml cannot be written: ENOENT\n"]);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith(".new")),
      [],
    );
  });

  test("may be the input itself, and uninject brings it back in place", async () => {
    const text = "services:\n  web:\n    image: a # here\n    ports: [80]";
    writeFileSync(join(folder, "own.yml"), text);
    assert.equal((await runWeft(["inject", "--dry-run", "own.yml", "-o", "own.yml"], { cwd: folder })).code, 0);
    assert.match(readFileSync(join(folder, "own.yml"), "utf8"), /web-proxy/);
    assert.equal((await runWeft(["uninject", "own.yml", "-o", "own.yml"], { cwd: folder })).code, 0);
    assert.equal(readFileSync(join(folder, "own.yml"), "utf8"), text);
  });
});

describe("a file that was injected", () => {
  const text = "services:\n  web:\n    image: a\n    expose: [80]\n";

  test("and changed since comes back with the changes", async () => {
    const meshed = (await inject(text)).stdout.replace("image: a\n", "image: a:2 # newer\n");
    const { code, stdout } = await runWeft(["uninject", "-"], { cwd: folder, stdin: meshed });
    assert.deepEqual([code, stdout], [0, text.replace("image: a\n", "image: a:2 # newer\n")]);
  });

  test("and has a new service is injected with that one", async () => {
    const meshed = (await inject(text)).stdout.replace("services:\n", "services:\n  more:\n    image: b\n");
    const { code, stdout, stderr } = await inject(meshed);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, (await inject(text.replace("services:\n", "services:\n  more:\n    image: b\n"))).stdout);
  });

  test("and lost a mark is refused, not guessed", async () => {
    const meshed = (await inject(text)).stdout.replace("    #weft+end\n", "");
    for (const command of ["inject", "uninject"]) {
      const { code, stdout, stderr } = await runWeft([command, "-"], { cwd: folder, stdin: meshed });
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^standard input:\d+:1: a part of weft inject begins within another; use the file that weft inject was given/);
    }
  });

  test("and lost all of them cannot be taken back, and is not injected again", async () => {
    const meshed = (await inject(text)).stdout.replace(/^#weft-.*\n|^ *#weft\+.*\n/gm, "");
    const back = await runWeft(["uninject", "-"], { cwd: folder, stdin: meshed });
    assert.deepEqual([back.code, back.stdout], [1, ""]);
    assert.match(back.stderr, /the marks \(#weft lines\) are gone: another program has written it anew/);
    const again = await inject(meshed);
    assert.deepEqual([again.code, again.stdout], [0, meshed]);
    assert.match(again.stderr, /^service "web-net" skipped: it is a part of Weft$/m);
  });
});

test("uninject of a file that was never injected gives it as it is", async () => {
  const text = "services:\n  web: {image: a}\n";
  const { code, stdout, stderr } = await runWeft(["uninject", "-"], { cwd: folder, stdin: text });
  assert.deepEqual([code, stdout, stderr], [0, text, 'service "web" skipped: it is not injected\n']);
});

test("wrong options are named", async () => {
  const { code, stderr } = await inject(
    "services: {}\n",
    "--set",
    "opaque-port=80",
    "--set",
    "admin-port=x",
    "-n",
    "A b",
    "--folder",
    "a:b",
  );
  assert.equal(code, 1);
  assert.match(
    stderr,
    /--set "opaque-port=80": there is no config\.linkerd\.io\/opaque-port; did you mean config\.linkerd\.io\/opaque-ports\?/,
  );
  assert.match(stderr, /--set "admin-port=x": .*expected a port/);
  assert.match(stderr, /--namespace "A b"/);
  assert.match(stderr, /--folder "a:b"/);
});
