// What `weft install --target kubernetes` and `weft inject` print, run here: the identity component with its very arguments and a sidecar with its very
// configuration, a service account's token between them, and an API server that tells its keys to those who show a token.
//
// Only places are changed: folders, addresses and ports that pods have and this machine has not.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { parseAllDocuments } from "yaml";
import { injectKubernetes } from "../../src/cli/inject/kubernetes/inject.ts";
import { defaultInjectOptions } from "../../src/cli/inject/kubernetes/options.ts";
import { DEFAULT_OIDC_ISSUER, kubernetesInstall } from "../../src/cli/install/kubernetes.ts";
import { Authority } from "../support/certificates.ts";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAIN = process.env["WEFT_TEST_MAIN"] ?? join(ROOT, "dist/cli/main.js");
const WAIT_MS = 60_000;
const API_TOKEN = "what kubelet gave the identity component";

// biome-ignore lint/suspicious/noExplicitAny: resources of every kind.
type Value = any;

function valuesOf(text: string): Value[] {
  return (parseAllDocuments(text) as { toJS(): Value }[]).map((document) => document.toJS());
}

/** A text with these parts replaced, each of which must be there. */
function moved(text: string, places: readonly (readonly [string, string])[]): string {
  let result = text;
  for (const [from, to] of places) {
    assert.ok(result.includes(from), `${from} is not there`);
    result = result.replaceAll(from, to);
  }
  return result;
}

class Running {
  readonly child: ChildProcess;
  log = "";

  constructor(args: readonly string[], environment: Record<string, string>) {
    this.child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, NODE_OPTIONS: "", ...environment } });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on("data", (chunk: Buffer) => {
        this.log += chunk.toString("utf8");
      });
    }
  }

  async says(pattern: RegExp): Promise<void> {
    await waitUntil(`${pattern}`, () => (this.child.exitCode !== null ? assert.fail(this.log) : pattern.test(this.log)), WAIT_MS);
  }
}

describe("an identity component with a token to show for the API server's keys", () => {
  const ended = async (...args: string[]): Promise<Running> => {
    const folder = mkdtempSync(join(tmpdir(), "weft-k8s-"));
    const running = new Running(["identity-controller", `--data=${folder}/data`, "--listen=127.0.0.1:0", "--admin=off", ...args], {});
    await new Promise((resolve) => running.child.on("close", resolve));
    rmSync(folder, { recursive: true });
    return running;
  };
  const issuer = `--oidc-issuer=${DEFAULT_OIDC_ISSUER}`;
  const keys = "--oidc-jwks=https://kubernetes.default.svc/openid/v1/jwks";

  it("does not start without it", async () => {
    const { child, log } = await ended(issuer, keys, "--oidc-jwks-token=/nowhere/token");
    assert.equal(child.exitCode, 1);
    assert.match(log, /\/nowhere\/token cannot be read \(ENOENT\); it must hold the token to show for the keys/);
  });

  it("refuses options that mean nothing together", async () => {
    for (const [args, expected] of [
      [["--oidc-jwks-token=t"], /--oidc-jwks-token needs --oidc-issuer and --oidc-jwks/],
      [[issuer, "--oidc-jwks=keys.json", "--oidc-jwks-token=t"], /--oidc-jwks-token is for an address at --oidc-jwks, not for a file/],
    ] as const) {
      const { child, log } = await ended(...args);
      assert.equal(child.exitCode, 64, log);
      assert.match(log, expected);
    }
  });
});

describe("a pod joins by its service account's token", () => {
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  let api: Server;
  let shown: string[];
  let folder: string;
  let running: Running[];
  let port: number;
  let adminPort: number;

  before(async () => {
    keys = await generateKeyPair("RS256", { extractable: true });
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: "api", alg: "RS256", use: "sig" };
    api = createServer((request, response) => {
      shown.push(request.headers.authorization ?? "");
      if (request.headers.authorization !== `Bearer ${API_TOKEN}`) response.writeHead(401).end();
      else response.setHeader("content-type", "application/jwk-set+json").end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  });
  after(() => api.close());
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "weft-k8s-"));
    mkdirSync(join(folder, "api"));
    mkdirSync(join(folder, "identity"));
    writeFileSync(join(folder, "api", "token"), `${API_TOKEN}\n`);
    shown = [];
    running = [];
    const ports = await freePorts(2);
    [port, adminPort] = ports as [number, number];
  });
  afterEach(() => {
    for (const { child } of running) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  function run(args: readonly string[], environment: Record<string, string> = {}): Running {
    const one = new Running(args, environment);
    running.push(one);
    return one;
  }

  async function startComponent(controlNamespace = "weft"): Promise<Running> {
    const text = kubernetesInstall({
      image: "weft",
      controlNamespace,
      trustDomain: "cluster.local",
      oidcIssuer: DEFAULT_OIDC_ISSUER,
      isHighlyAvailable: false,
    });
    const [container] = valuesOf(text).find(({ kind }) => kind === "StatefulSet").spec.template.spec.containers;
    const args = moved(JSON.stringify(container.args), [
      ["/var/lib/weft", folder.concat("/volume")],
      ["0.0.0.0:8080", `127.0.0.1:${port}`],
      ["127.0.0.1:8089", `127.0.0.1:${adminPort}`],
      ["https://kubernetes.default.svc/", `http://127.0.0.1:${(api.address() as AddressInfo).port}/`],
      ["/var/run/weft/api", join(folder, "api")],
    ]);
    const component = run(JSON.parse(args));
    await component.says(/the identity component serves/);
    return component;
  }

  async function token(account: string, audience: string | string[] = "identity.weft.dev"): Promise<void> {
    const text = await new SignJWT({ "kubernetes.io": { namespace: "votes", serviceaccount: { name: account } } })
      .setProtectedHeader({ alg: "RS256", kid: "api" })
      .setIssuer(DEFAULT_OIDC_ISSUER)
      .setSubject(`system:serviceaccount:votes:${account}`)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(keys.privateKey);
    writeFileSync(join(folder, "identity", "token"), text);
  }

  async function startSidecar(controlNamespace = "weft"): Promise<{ readonly sidecar: Running; readonly admin: number }> {
    const manifests = readFileSync(join(ROOT, "test/fixtures/kubernetes/votes.yaml"), "utf8");
    const { text } = injectKubernetes([{ file: "app.yaml", text: manifests }], { ...defaultInjectOptions(), controlNamespace });
    const pod = valuesOf(text).find(({ kind, metadata }) => kind === "Deployment" && metadata.name === "emoji").spec.template.spec;
    const proxy = pod.initContainers.find(({ name }: Value) => name === "weft-proxy");
    const [outbound, inbound, admin] = (await freePorts(3)) as [number, number, number];
    const config = moved(proxy.env[0].value, [
      ["127.0.0.1:4140", `127.0.0.1:${outbound}`],
      ["0.0.0.0:4143", `127.0.0.1:${inbound}`],
      ["0.0.0.0:4191", `127.0.0.1:${admin}`],
      [`weft-identity.${controlNamespace}.svc.cluster.local:8080`, `127.0.0.1:${port}`],
      ["/var/run/weft", folder],
      // The fixture's namespace is quiet.
      ["logLevel: warn", "logLevel: info"],
    ]);
    return { sidecar: run(proxy.args, { WEFT_CONFIG: config }), admin };
  }

  function publishRoots(): void {
    const pem = readFileSync(join(folder, "volume", "identity", "bundle.pem"), "utf8");
    writeFileSync(join(folder, "identity", "roots.pem"), pem);
  }

  for (const controlNamespace of ["weft", "mesh"]) {
    it(`and is ready, with its account's identity in ${controlNamespace}; the token was checked by the API server's keys`, async () => {
      await startComponent(controlNamespace);
      publishRoots();
      await token("emoji");
      const { sidecar, admin } = await startSidecar(controlNamespace);
      await sidecar.says(/the first certificate/);
      assert.match(sidecar.log, new RegExp(`"emoji\\.votes\\.serviceaccount\\.identity\\.${controlNamespace}\\.cluster\\.local"`));
      await waitUntil("readiness", async () => (await fetch(`http://127.0.0.1:${admin}/ready`)).status === 200, WAIT_MS);
      assert.deepEqual(shown, [`Bearer ${API_TOKEN}`]);
    });
  }

  it("and waits until there is a token, and roots", async () => {
    await startComponent();
    const { sidecar, admin } = await startSidecar();
    await sidecar.says(/token file .* cannot be read/);
    await token("emoji");
    await sidecar.says(/trust file .* cannot be read/);
    assert.equal((await fetch(`http://127.0.0.1:${admin}/ready`)).status, 503);
    publishRoots();
    await sidecar.says(/the first certificate/);
  });

  it("and shows it to nobody who is not below its roots", async () => {
    const component = await startComponent();
    writeFileSync(join(folder, "identity", "roots.pem"), new Authority().cert);
    await token("emoji");
    const { sidecar } = await startSidecar();
    await sidecar.says(/untrusted/);
    assert.deepEqual(shown, [], "the token got to the component, which asked for keys");
    assert.doesNotMatch(component.log, /emoji/);
  });

  it("and is refused without one for the identity component alone, before it is sent", async () => {
    await startComponent();
    publishRoots();
    await token("emoji", ["identity.weft.dev", "https://kubernetes.default.svc"]);
    const { sidecar } = await startSidecar();
    await sidecar.says(/it is not for identity\.weft\.dev alone/);
    assert.deepEqual(shown, []);
  });
});
