// Certificates in a configuration: what is said about each mistake, relative paths, and that no message quotes a key.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { LISTENER_CERTIFICATES_MAX } from "../../src/config/certificates.ts";
import { loadConfig } from "../../src/config/load.ts";
import { PEM_BYTES_MAX } from "../../src/config/pem-files.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { Authority, CertificateFiles, encryptedKey } from "../support/certificates.ts";

const authority = new Authority();
const good = authority.issue({ names: ["web.example", "10.1.2.3"] });
const files = new CertificateFiles(good);
const { folder } = files;
mkdirSync(join(folder, "d"));
after(() => files.remove());

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

/** What is said about a proxy whose listener has these; paths are relative to the file. */
function tell(cert: string, key: string): string[] {
  const path = join(folder, write("proxy.yaml", yaml(cert, key)));
  const result = loadConfig({ path });
  const problems = "problems" in result ? result.problems : result.warnings;
  const said = problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ""));
  for (const text of said) assert.ok(!text.includes("PRIVATE KEY-----\n") && !text.includes(good.key.split("\n")[1]!), "a secret was told");
  return said;
}

const yaml = (cert: string, key: string): string => `apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: p}
spec:
  inbound:
    target: "127.0.0.1:8080"
    tls:
      cert: ${cert}
      key: ${key}
`;

const CERT = "proxy.yaml:8:13: spec.inbound.tls.cert is";
const KEY = "proxy.yaml:9:12: spec.inbound.tls.key is";

describe("certificates of a configuration", () => {
  it("are read with their chain, whatever stands around them", () => {
    write("chain.pem", `Subject: web\n${good.cert}\n${authority.cert}\n`);
    assert.deepEqual(tell("chain.pem", "tls.key"), []);
    const result = loadConfig({ path: join(folder, "proxy.yaml") });
    assert.ok("snapshot" in result);
    const [listener] = result.snapshot.listeners.filter(({ direction }) => direction === "inbound");
    assert.equal(listener?.tls?.certFile, join(folder, "chain.pem"));
    assert.equal(listener?.tls?.names, "DNS:web.example, IP Address:10.1.2.3");
    assert.equal(result.snapshot.certificates?.[0]?.listener, "inbound");
    assert.equal(result.snapshot.certificates?.[0]?.cert.match(/BEGIN CERTIFICATE/g)?.length, 2);
    assert.deepEqual(
      result.files.filter(({ isNamed }) => isNamed === true).map(({ path }) => path),
      [join(folder, "chain.pem"), join(folder, "tls.key")],
    );
  });

  it("belong to one listener each, and to every one that names them", () => {
    const path = join(
      folder,
      write(
        "many.yaml",
        `apiVersion: weft.dev/v1alpha1
kind: Proxy
metadata: {name: p}
spec:
  outbound: {default: web, tls: {cert: tls.crt, key: tls.key}, ports: [{listen: "127.0.0.1:5432", service: web, tls: {cert: tls.crt, key: tls.key}}]}
  inbound: {target: "127.0.0.1:8080", ports: [{port: 9443, target: "127.0.0.1:8081", tls: {cert: tls.crt, key: tls.key}}]}
---
apiVersion: weft.dev/v1alpha1
kind: Service
metadata: {name: web}
spec: {endpoints: [{address: "127.0.0.1:9001"}]}
`,
      ),
    );
    const result = loadConfig({ path });
    assert.ok("snapshot" in result);
    assert.deepEqual(
      result.snapshot.certificates?.map(({ listener }) => listener),
      ["outbound", "outbound/127.0.0.1:5432", "inbound/9443"],
    );
    assert.equal(result.snapshot.listeners.find(({ id }) => id === "inbound")?.tls, undefined);
  });

  const other = authority.issue();
  const day = (days: number): Date => new Date(Date.now() + days * 86_400_000);
  const mistakes: readonly (readonly [string, () => string[], readonly (string | RegExp)[]])[] = [
    ["a certificate that is not there", () => tell("no.crt", "tls.key"), [`${CERT} "no.crt", which does not exist; looked for no.crt`]],
    ["a key that is not there", () => tell("tls.crt", "no.key"), [`${KEY} "no.key", which does not exist; looked for no.key`]],
    ["both", () => tell("no.crt", "no.key"), [/no\.crt/, /no\.key/]],
    ["the two swapped", () => tell("tls.key", "tls.crt"), [/are cert and key swapped\?$/, /are cert and key swapped\?$/]],
    ["something else", () => tell(write("a.txt", "hello"), "tls.key"), [/which has no certificate in PEM; it must have lines/]],
    [
      "a damaged certificate",
      () => tell(write("b.crt", good.cert.replace("MII", "AAA")), "tls.key"),
      [/is damaged: its certificate 1 of 1/],
    ],
    ["a damaged key", () => tell("tls.crt", write("b.key", good.key.replace("MI", "AA"))), [/is damaged: its private key cannot be read/]],
    ["a key of another", () => tell("tls.crt", write("o.key", other.key)), [/which is not the key of the certificate in "tls\.crt"/]],
    ["a passphrase", () => tell("tls.crt", write("p.key", encryptedKey(good.key, "x"))), [/which has a passphrase.*openssl pkey/]],
    ["a folder", () => tell("d", "tls.key"), [`${CERT} "d", which is no file`]],
    ["a huge file", () => tell(write("h.crt", "x".repeat(PEM_BYTES_MAX + 1)), "tls.key"), [/which is larger than 1048576 bytes/]],
  ];
  for (const [what, said, expected] of mistakes) {
    it(`tells of ${what}`, () => {
      const lines = said();
      assert.equal(lines.length, expected.length, lines.join("\n"));
      for (const [index, line] of lines.entries()) {
        const wanted = expected[index]!;
        if (typeof wanted === "string") assert.equal(line, wanted);
        else assert.match(line, wanted);
      }
    });
  }

  it("tells of a file that may not be read", () => {
    write("secret.key", good.key);
    chmodSync(join(folder, "secret.key"), 0o000);
    const lines = tell("tls.crt", "secret.key");
    // Who is root may read everything.
    if (process.getuid?.() === 0) assert.deepEqual(lines, []);
    else assert.match(lines[0]!, /which may not be read; check the permissions/);
    rmSync(join(folder, "secret.key"), { force: true });
  });

  it("only warns of a certificate out of its time", () => {
    const old = new CertificateFiles(authority.issue({ notBefore: day(-9), notAfter: day(-2) }));
    const early = new CertificateFiles(authority.issue({ notBefore: day(2), notAfter: day(9) }));
    const date = (days: number): string => day(days).toISOString().slice(0, 10);
    assert.match(tell(old.cert, old.key)[0]!, new RegExp(`:8:13: warning: .* which expired on ${date(-2)}; clients will refuse it`));
    assert.match(tell(early.cert, early.key)[0]!, new RegExp(`:8:13: warning: .* which is not valid before ${date(2)}; clients will`));
    old.remove();
    early.remove();
  });

  it("need absolute paths where the configuration is no file", () => {
    const relative = loadConfig({ text: yaml("tls.crt", "tls.key") });
    assert.ok("problems" in relative);
    assert.match(formatProblem(relative.problems[0]!), /^WEFT_CONFIG:8:13: .* which is a relative path, .*; write it as an absolute path$/);
    assert.ok("snapshot" in loadConfig({ text: yaml(files.cert, files.key) }));
  });

  it("are both needed", () => {
    const path = join(folder, write("half.yaml", yaml("tls.crt", "tls.key").replace(/ {6}key: .*\n/, "")));
    const result = loadConfig({ path });
    assert.ok("problems" in result);
    assert.match(formatProblem(result.problems[0]!), /spec\.inbound\.tls\.key is missing; expected the path of a PEM file/);
  });
});

describe("a list of certificates", () => {
  const make = (name: string, names: readonly string[]): string => {
    const { cert, key } = authority.issue({ names });
    write(`${name}.crt`, cert);
    write(`${name}.key`, key);
    return `{cert: ${name}.crt, key: ${name}.key}`;
  };

  function load(tls: string): ReturnType<typeof loadConfig> {
    const spec = `{inbound: {target: "127.0.0.1:8080", tls: ${tls}}}`;
    return loadConfig({
      path: join(folder, write("list.yaml", `{apiVersion: weft.dev/v1alpha1, kind: Proxy, metadata: {name: p}, spec: ${spec}}\n`)),
    });
  }

  const said = (tls: string): string => {
    const result = load(tls);
    return ("problems" in result ? result.problems : result.warnings).map(formatProblem).join("\n");
  };

  it("reaches the workers in its order, with the names of each", () => {
    const result = load(`[${make("one", ["One.example"])}, ${make("two", ["*.two.example", "two.example", "10.1.2.3"])}]`);
    assert.ok("snapshot" in result);
    assert.deepEqual(result.warnings, []);
    const [certificate] = result.snapshot.certificates ?? [];
    assert.deepEqual([certificate?.listener, certificate?.names], ["inbound", ["one.example"]]);
    assert.deepEqual(
      certificate?.others.map(({ names }) => names),
      [["*.two.example", "two.example"]],
    );
    const tls = result.snapshot.listeners.find(({ id }) => id === "inbound")?.tls;
    assert.equal(tls?.certFile, join(folder, "one.crt"));
    assert.equal(tls?.others?.[0]?.keyFile, join(folder, "two.key"));
    assert.doesNotMatch(JSON.stringify(result.snapshot.listeners), /PRIVATE KEY/);
  });

  it("warns of a name that two have, and of one without a name that nobody can ask for", () => {
    const pairs = [make("a", ["a.example"]), make("b", ["b.example", "A.example"]), make("c", ["10.9.9.9"])];
    const lines = said(`[${pairs.join(", ")}]`).split("\n");
    assert.equal(lines.length, 2, lines.join("\n"));
    assert.match(
      lines[0]!,
      /warning: spec\.inbound\.tls\[1\]\.cert is "b\.crt", which has a\.example, as spec\.inbound\.tls\[0\] has; clients get the first/,
    );
    assert.match(lines[1]!, /warning: spec\.inbound\.tls\[2\]\.cert is "c\.crt", which has no DNS name.*; no client will get it/);
  });

  it("tells every mistake in it at its place", () => {
    const text = said(`[${make("a", ["a.example"])}, {cert: no.crt, key: a.key}, {cert: a.crt, kee: a.key}]`);
    assert.match(text, /kee is not a key of spec\.inbound\.tls\[2\]; did you mean key\?/);
    assert.match(
      said(`[${make("a", ["a.example"])}, {cert: no.crt, key: a.key}]`),
      /spec\.inbound\.tls\[1\]\.cert is "no\.crt", which does not exist/,
    );
    assert.match(said("[]"), /spec\.inbound\.tls has 0 certificates; leave tls out/);
  });

  it("has keys of one kind, as OpenSSL would take another kind's certificate for the name", () => {
    const rsa = authority.issue({ names: ["r.example"], keyKind: "rsa2048" });
    const pair = `{cert: ${write("r.crt", rsa.cert)}, key: ${write("r.key", rsa.key)}}`;
    assert.match(
      said(`[${make("a", ["a.example"])}, ${pair}]`),
      /spec\.inbound\.tls\[1\]\.key is "r\.key", which is an RSA key, and the first of the list an EC one; use one kind, or listeners of their own/,
    );
  });

  it("is not without end", () => {
    const pair = make("a", ["a.example"]);
    assert.match(said(`[${new Array<string>(LISTENER_CERTIFICATES_MAX + 1).fill(pair).join(", ")}]`), /has 257 certificates; 256 at most/);
  });
});
