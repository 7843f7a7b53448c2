// A secret where the path of its file belongs: it is refused by name, and no output has a part of it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Authority } from "../support/certificates.ts";
import { joinToken } from "../support/join-token.ts";
import { MAIN } from "../support/weft-run.ts";

const PATIENCE_MS = 60_000;
const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const token = joinToken({ identity: NAME });
const key = new Authority().issue({ names: [NAME] }).key;

/** Every piece of it that somebody could use. */
const piecesOf = (secret: string): string[] =>
  secret.includes("-----") ? secret.split("\n").filter((line) => line !== "" && !line.startsWith("---")) : secret.split(".");

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-pasted-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Said {
  readonly code: number | null;
  readonly text: string;
}

function weft(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Said> {
  const { WEFT_CONFIG: _, NODE_OPTIONS: _options, ...inherited } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: folder,
      env: { ...inherited, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: PATIENCE_MS,
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        text += chunk.toString("utf8");
      });
    }
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, text }));
  });
}

/** A Proxy document with this identity, as a file; values are JSON, which YAML is. */
function configOf(identity: Readonly<Record<string, string>>): string {
  const path = join(folder, "weft.yaml");
  const lines = Object.entries(identity).map(([name, value]) => `    ${name}: ${JSON.stringify(value)}\n`);
  const head = "apiVersion: weft.dev/v1alpha1\nkind: Proxy\nmetadata: {name: p}\nspec:\n  admin: {listen: off}\n";
  writeFileSync(path, `${head}  outbound: {listen: "127.0.0.1:0"}\n  identity:\n${lines.join("")}`);
  return path;
}

function assertHidden(secret: string, said: Said): void {
  for (const piece of piecesOf(secret)) assert.ok(!said.text.includes(piece.slice(0, 24)), said.text);
}

const CONTROLLER = { controller: "127.0.0.1:9" };

describe("a secret where a path belongs", () => {
  for (const [what, identity, secret, expected] of [
    [
      "a token",
      { ...CONTROLLER, token },
      token,
      /:9:12: spec\.identity\.token is a path; this looks like the token itself; put it in a file .*, or set WEFT_IDENTITY_TOKEN to it\n/,
    ],
    [
      "a token that YAML has folded",
      { ...CONTROLLER, token: token.replaceAll(/.{70}/g, "$&\n") },
      token,
      /spec\.identity\.token is a path; this looks like the token itself/,
    ],
    ["a token at keep", { ...CONTROLLER, keep: token }, token, /spec\.identity\.keep is a path; this looks like the token itself/],
    [
      "a token at trust",
      { ...CONTROLLER, token: "/run/token", trust: `./${token}` },
      token,
      /spec\.identity\.trust is a path; this looks like the token itself/,
    ],
    ["a token as the component's address", { controller: token }, token, /spec\.identity\.controller is "\(hidden\)"?: it has no port/],
    [
      "a private key",
      { cert: "/run/cert", key, trust: "/run/trust" },
      key,
      /spec\.identity\.key is a path; this looks like the private key itself; put it in a file that only the proxy can read, and name that file here\n/,
    ],
    ["a private key in a key that takes none", { controller: key }, key, /spec\.identity\.controller is "\(hidden\)/],
  ] as const) {
    it(`${what}: refused by the proxy with 64 and by validate, without a word of it`, async () => {
      const path = configOf(identity);
      const proxy = await weft(["proxy", "--config", path]);
      const validate = await weft(["validate", path]);
      const json = await weft(["validate", path, "-o", "json"]);
      assert.deepEqual([proxy.code, validate.code, json.code], [64, 1, 1], proxy.text);
      for (const said of [proxy, validate]) assert.match(said.text, expected);
      for (const said of [proxy, validate, json]) assertHidden(secret, said);
    });
  }

  it("a token in WEFT_CONFIG", async () => {
    const said = await weft(["proxy"], { WEFT_CONFIG: token });
    assert.equal(said.code, 64);
    assert.match(said.text, /^WEFT_CONFIG:1:1: the document is "\(hidden\)/);
    assertHidden(token, said);
  });

  it("a token at --oidc-jwks-token", async () => {
    const issuer = ["--oidc-issuer", "https://a.example", "--oidc-jwks", "https://a.example/keys"];
    const said = await weft(["identity-controller", "--data", join(folder, "data"), ...issuer, "--oidc-jwks-token", token]);
    assert.equal(said.code, 64);
    assert.match(said.text, /--oidc-jwks-token is the path of a file; this looks like the token itself/);
    assertHidden(token, said);
  });

  it("the admin port's secret at --admin-secret", async () => {
    const secret = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF";
    const order = ["--name", "web", "--namespace", "shop", "--admin", "127.0.0.1:1"];
    for (const args of [
      ["identity", "token", "create", ...order],
      ["identity", "rotate", "--admin", "127.0.0.1:1"],
    ]) {
      const said = await weft([...args, "--admin-secret", secret]);
      assert.equal(said.code, 1);
      assert.match(said.text, /--admin-secret is the path of a file; this looks like the secret itself/);
      assertHidden(secret, said);
    }
  });
});
