// What Node itself offers for HTTP/2, as a proxy: node:http2 on both sides (node:http to upstreams that speak HTTP/1), streams piped, in a
// process of its own. It is what Weft's own codec is held against. One upstream, over one session.

import { fileURLToPath } from "node:url";
import { CERTIFICATE } from "../support/certificate.ts";
import { Child, isListening, startOnFreePorts, untilReady } from "../support/child.ts";
import { type PeerKind, protocolsOf, workersOf } from "./peer.ts";

const SCRIPT = fileURLToPath(new URL("./npm/run.mjs", import.meta.url));

export const NODE_HTTP2: PeerKind = {
  name: "node-http2",
  abilities: ["http2", "to-http2", "tls"],
  install: "part of Node",
  version: () => `node:http2 of Node ${process.version}`,
  start: (request) =>
    startOnFreePorts(1, async ([port]) => {
      const how = JSON.stringify({ ...protocolsOf(request), ...CERTIFICATE });
      const args = [SCRIPT, "node-http2", String(port), String(request.upstreams[0]), String(workersOf(request)), how];
      const child = new Child("node-http2", process.execPath, args);
      await untilReady(child, () => isListening(port!));
      return { name: "node-http2", port: port!, child, adminPort: null };
    }),
};
