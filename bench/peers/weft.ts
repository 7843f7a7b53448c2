// Weft as a user runs it: the built proxy, all default features on, its own process.

import { readFileSync } from "node:fs";
import { get } from "node:http";
import { fileURLToPath } from "node:url";
import { MeshFiles, SERVER_NAME } from "../../test/support/mesh-files.ts";
import { Metrics } from "../../test/support/metrics.ts";
import { CERTIFICATE } from "../support/certificate.ts";
import { Child, startOnFreePorts, TOOL_ENV, untilReady } from "../support/child.ts";
import { type Peer, type PeerKind, protocolsOf, type StartRequest } from "./peer.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const PACKAGE = new URL("../../package.json", import.meta.url);

/** Status and text of a path of the admin port. */
export function adminGet(port: number, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}

export async function weftMetrics(peer: Peer): Promise<Metrics> {
  if (peer.adminPort === null) throw new Error(`${peer.name} has no admin port`);
  return new Metrics((await adminGet(peer.adminPort, "/metrics")).body);
}

function isReady(adminPort: number): Promise<boolean> {
  return adminGet(adminPort, "/ready").then(
    (answer) => answer.status === 200,
    () => false,
  );
}

export interface WeftPeer extends Peer {
  /** From the start of the process to the first /ready that says 200, milliseconds; looked at every 2 ms. */
  readonly readyMs: number;
}

/** Opaque bytes, TLS, and an upstream that speaks something else than the client have to be asked for, and only a file can. */
function needsFile(request: StartRequest): boolean {
  const { downstream, upstream, tls } = protocolsOf(request);
  return request.mode === "tcp" || request.mesh !== undefined || tls || downstream !== upstream;
}

let meshFiles: MeshFiles | null = null;

/** One pair of identities for all runs of this process. */
function identities(): MeshFiles {
  if (meshFiles === null) {
    meshFiles = new MeshFiles();
    process.once("exit", () => meshFiles?.remove());
  }
  return meshFiles;
}

/** The proxy before the origin: only mesh TLS comes in. */
function inboundDocuments(port: number, request: StartRequest): readonly object[] {
  const inbound = { listen: `127.0.0.1:${port}`, target: `127.0.0.1:${request.upstreams[0]}` };
  const spec = { identity: identities().server, outbound: { listen: "off" }, inbound };
  return [{ kind: "Proxy", metadata: { name: "bench" }, spec }];
}

function configFile(port: number, request: StartRequest): string {
  const documents = request.mesh === "inbound" ? inboundDocuments(port, request) : outboundDocuments(port, request);
  // JSON is YAML.
  return documents.map((document) => JSON.stringify({ apiVersion: "weft.dev/v1alpha1", ...document })).join("\n---\n");
}

function outboundDocuments(port: number, request: StartRequest): readonly object[] {
  const { upstream, tls } = protocolsOf(request);
  const listener = {
    listen: `127.0.0.1:${port}`,
    default: "origin",
    ...(request.mode === "tcp" && { protocol: "opaque" }),
    ...(tls && { tls: CERTIFICATE }),
  };
  const ports = request.mode === "tcp" ? [] : [{ port: 80, protocol: upstream }];
  const isMesh = request.mesh !== undefined;
  const endpoints = request.upstreams.map((one) => ({ address: `127.0.0.1:${one}`, ...(isMesh && { identity: SERVER_NAME }) }));
  return [
    { kind: "Proxy", metadata: { name: "bench" }, spec: { ...(isMesh && { identity: identities().client }), outbound: listener } },
    { kind: "Service", metadata: { name: "origin" }, spec: { ...(ports.length > 0 && !isMesh && { ports }), endpoints } },
  ];
}

export interface WeftExtras {
  /** For Node itself, in front of Weft: a probe that is loaded first. */
  readonly nodeArguments?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

export function startWeft(request: StartRequest, extras: WeftExtras = {}): Promise<WeftPeer> {
  return startOnFreePorts(2, async ([port, adminPort]) => {
    const to = request.upstreams.map((upstream) => `127.0.0.1:${upstream}`).join(",");
    const how = needsFile(request) ? [] : ["--listen", `127.0.0.1:${port}`, "--to", to];
    const configuration = needsFile(request) ? { WEFT_CONFIG: configFile(port!, request) } : {};
    const common = ["--workers", String(request.workers), "--admin", `127.0.0.1:${adminPort}`];
    const env = { ...TOOL_ENV, ...configuration, ...extras.environment };
    const began = performance.now();
    const args = [...(extras.nodeArguments ?? []), MAIN, "proxy", ...how, ...common];
    const child = new Child("weft", process.execPath, args, { env });
    await untilReady(child, () => isReady(adminPort!), 2);
    return { name: "weft", port: port!, child, adminPort: adminPort!, readyMs: performance.now() - began };
  });
}

export const WEFT: PeerKind = {
  name: "weft",
  abilities: ["http", "http2", "to-http2", "tls", "websocket", "tcp", "balance"],
  install: "npm run build",
  version: () => `weft ${(JSON.parse(readFileSync(PACKAGE, "utf8")) as { version: string }).version}`,
  start: (request) => startWeft(request),
};
