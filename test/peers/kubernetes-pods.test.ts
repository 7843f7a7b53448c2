// Two pods without Kubernetes: network namespaces with what `weft inject` prints for them, run as kubelet would, and a virtual address as kube-proxy makes one.
//
//   web 10.78.1.2   curl => sidecar ---- node: 10.96.0.1 to 10.78.2.2 by iptables ---- sidecar => server   emoji 10.78.2.2
//
// The init containers' arguments and the sidecars' configurations are the printed ones; names in the cluster's DNS became addresses, folders of pods folders here.
// Needs root, as all tests with namespaces.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { parseAllDocuments } from "yaml";
import { injectKubernetes } from "../../src/cli/inject/kubernetes/inject.ts";
import { defaultInjectOptions } from "../../src/cli/inject/kubernetes/options.ts";
import { DEFAULT_OIDC_ISSUER } from "../../src/cli/install/kubernetes.ts";
import { waitUntil } from "../support/wait.ts";
import { Namespace, NODE, PROXY_UID, WEFT } from "./support/namespaces.ts";

const VOTES = fileURLToPath(new URL("../fixtures/kubernetes/votes.yaml", import.meta.url));
const WAIT_MS = 60_000;
const SERVICES = { "emoji-svc": "10.96.0.1", "ballot-svc": "10.96.0.2", "web-svc": "10.96.0.3" } as const;
const IDENTITY = "serviceaccount.identity.weft.cluster.local";

interface Pod {
  readonly name: "web" | "emoji";
  readonly address: string;
  readonly namespace: Namespace;
  log: string;
}

// biome-ignore lint/suspicious/noExplicitAny: resources of every kind.
type Value = any;

let folder = "";
let node: Namespace;
let outside: Namespace;
let web: Pod;
let emoji: Pod;
const pods: Pod[] = [];
let injected: Value[] = [];
let keys: Awaited<ReturnType<typeof generateKeyPair>>;

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  assert.equal(status, 0, `ip ${args.join(" ")}: ${stderr}`);
}

/** A wire from the node to a pod, which sends everything to the node. */
function connect(pod: Namespace, number: number): string {
  ip("link", "add", "eth0", "netns", pod.name, "type", "veth", "peer", "name", `pod${number}`, "netns", node.name);
  ip("-n", pod.name, "address", "add", `10.78.${number}.2/24`, "dev", "eth0");
  ip("-n", node.name, "address", "add", `10.78.${number}.1/24`, "dev", `pod${number}`);
  ip("-n", pod.name, "link", "set", "eth0", "up");
  ip("-n", node.name, "link", "set", `pod${number}`, "up");
  ip("-n", pod.name, "route", "add", "default", "via", `10.78.${number}.1`);
  return `10.78.${number}.2`;
}

async function token(account: string): Promise<string> {
  return await new SignJWT({})
    .setProtectedHeader({ alg: "RS256", kid: "api" })
    .setIssuer(DEFAULT_OIDC_ISSUER)
    .setSubject(`system:serviceaccount:votes:${account}`)
    .setAudience(["identity.weft.dev"])
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(keys.privateKey);
}

function fetchFrom(namespace: Namespace, url: string): { readonly status: number; readonly body: string } {
  const { stdout } = namespace.run("curl", "--silent", "--max-time", "20", "--noproxy", "*", "--write-out", "\n%{http_code}", url);
  const lines = stdout.split("\n");
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join("\n") };
}

/** Runs what the pod has, in its order: init containers, then the application. */
async function startPod(pod: Pod): Promise<void> {
  const { spec } = injected.find(({ kind, metadata }) => kind === "Deployment" && metadata.name === pod.name).spec.template;
  const container = (name: string): Value => spec.initContainers.find((one: Value) => one.name === name);
  const ran = pod.namespace.run(NODE, WEFT, ...container("weft-init").args);
  assert.equal(ran.code, 0, ran.stderr);
  const place = join(folder, pod.name);
  mkdirSync(join(place, "identity"), { recursive: true });
  mkdirSync(join(place, "state"));
  chownSync(join(place, "state"), PROXY_UID, PROXY_UID);
  writeFileSync(join(place, "identity", "token"), await token(pod.name));
  writeFileSync(join(place, "identity", "roots.pem"), readFileSync(join(folder, "data", "bundle.pem")));
  let config: string = container("weft-proxy").env[0].value;
  for (const [name, address] of Object.entries(SERVICES))
    config = config.replaceAll(`dns: ${name}.votes.svc.cluster.local:`, `address: ${address}:`);
  config = config
    .replaceAll("/var/run/weft", place)
    .replace("weft-identity.weft.svc.cluster.local:8080", `${pod.address.replace(/2$/, "1")}:8080`);
  assert.doesNotMatch(config, /svc\.cluster\.local:/);
  const child = pod.namespace.start({ WEFT_CONFIG: config }, [NODE, WEFT, ...container("weft-proxy").args], PROXY_UID);
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (chunk: Buffer) => {
      pod.log += chunk.toString("utf8");
    });
  }
}

/** As kubelet asks: from the node, at the pod's own address. */
async function ready(pod: Pod): Promise<void> {
  const isReady = () => fetchFrom(node, `http://${pod.address}:4191/ready`).status === 200;
  await waitUntil(`${pod.name} to be ready`, isReady, WAIT_MS).catch((error: Error) => assert.fail(`${error.message}\n${pod.log}`));
}

/** What kube-proxy does for a service with one endpoint. */
function serve(address: string, port: number, endpoint: string): void {
  const rule = ["PREROUTING", "-d", `${address}/32`, "-p", "tcp", "--dport", String(port), "-j", "DNAT", "--to-destination", endpoint];
  node.run("iptables", "-t", "nat", "-F", "PREROUTING");
  const { code, stderr } = node.run("iptables", "-t", "nat", "-A", ...rule);
  assert.equal(code, 0, stderr);
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-pods-"));
  // The sidecars' own user reads below it.
  chmodSync(folder, 0o755);
  keys = await generateKeyPair("RS256", { extractable: true });
  writeFileSync(join(folder, "jwks.json"), JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: "api", alg: "RS256" }] }));
  injected = (
    parseAllDocuments(injectKubernetes([{ file: VOTES, text: readFileSync(VOTES, "utf8") }], defaultInjectOptions()).text) as {
      toJS(): Value;
    }[]
  ).map((document) => document.toJS());

  node = Namespace.create("node");
  outside = Namespace.create("outside");
  const forwards = node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
  assert.equal(forwards.code, 0, forwards.stderr);
  for (const [index, name] of (["web", "emoji"] as const).entries()) {
    const namespace = Namespace.create(name);
    pods.push({ name, namespace, address: connect(namespace, index + 1), log: "" });
  }
  [web, emoji] = pods as [Pod, Pod];
  connect(outside, 3);
  node.start({}, [
    NODE,
    WEFT,
    "identity-controller",
    `--data=${join(folder, "data")}`,
    "--listen=0.0.0.0:8080",
    "--admin=off",
    `--oidc-issuer=${DEFAULT_OIDC_ISSUER}`,
    `--oidc-jwks=${join(folder, "jwks.json")}`,
  ]);
  await waitUntil("the roots", () => spawnSync("test", ["-s", join(folder, "data", "bundle.pem")]).status === 0, WAIT_MS);
  for (const [namespace, label] of [
    [emoji.namespace, "emoji"],
    [outside, "stranger"],
  ] as const) {
    namespace.start({}, [NODE, "/mnt/test/peers/support/unaware-server.ts", label, "8080,8081", "2525"]);
  }
  await startPod(emoji);
  await startPod(web);
  serve(SERVICES["emoji-svc"], 8080, `${emoji.address}:8080`);
});

after(async () => {
  for (const { namespace } of pods) await namespace.destroy();
  await outside?.destroy();
  await node?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

describe("two injected pods", () => {
  it("are ready for kubelet once they have certificates", async () => {
    for (const pod of pods) await ready(pod);
  });

  it("meet by mutual TLS when one calls the other's service by its virtual address", async () => {
    await waitUntil("the server", () => fetchFrom(web.namespace, `http://${SERVICES["emoji-svc"]}:8080/`).status === 200, WAIT_MS);
    const { headers, name } = JSON.parse(fetchFrom(web.namespace, `http://${SERVICES["emoji-svc"]}:8080/`).body);
    assert.equal(name, "emoji:8080");
    assert.equal(headers["l5d-client-id"], `web.votes.${IDENTITY}`);
  });

  it("are reached by probes and by who is not in the mesh, without an identity", () => {
    for (const [from, port] of [
      [node, 8080],
      [node, 8081],
      [outside, 8080],
    ] as const) {
      const { status, body } = fetchFrom(from, `http://${emoji.address}:${port}/`);
      assert.equal(status, 200);
      assert.equal(JSON.parse(body).headers["l5d-client-id"], undefined);
    }
  });

  it("answer TCP probes by the sidecar, whether the application is there or not, as the report warns", () => {
    const connects = (address: string) => node.run("timeout", "10", "bash", "-c", `exec 3<>/dev/tcp/${address}/9999`).code === 0;
    assert.equal(connects(emoji.address), true);
    assert.equal(connects("10.78.3.2"), false);
  });

  it("reach what is no service of the files straight", () => {
    const { status, body } = fetchFrom(web.namespace, "http://10.78.3.2:8080/");
    assert.equal(status, 200);
    assert.equal(JSON.parse(body).name, "stranger:8080");
  });

  it("speak to nobody else behind a meshed service: while a rollout runs, requests to pods without a sidecar fail", async () => {
    const service = `http://${SERVICES["web-svc"]}:80/`;
    serve(SERVICES["web-svc"], 80, "10.78.3.2:8080");
    assert.equal(fetchFrom(node, "http://10.78.3.2:8080/").status, 200, "the pod without a sidecar does not answer at all");
    assert.match(String(fetchFrom(web.namespace, service).status), /^50[234]$/);
  });
});
