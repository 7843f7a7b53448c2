// HAProxy that speaks HTTP/2 with prior knowledge to its clients, and HTTP/1 or HTTP/2 to its servers, in turn.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child, isListening, startOnFreePorts, untilReady } from "../../../bench/support/child.ts";
import type { Service } from "./services.ts";

/** `never`: each request has a connection to the server of its own. */
type Reuse = "safe" | "never";

function configuration(port: number, serverPorts: readonly number[], protocol: "http/1" | "http/2", reuse: Reuse): string {
  const servers = serverPorts.map((server, index) => `  server s${index} 127.0.0.1:${server}${protocol === "http/2" ? " proto h2" : ""}`);
  return `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend clients
  bind 127.0.0.1:${port} proto h2
  default_backend servers
backend servers
  balance roundrobin
  http-reuse ${reuse}
${servers.join("\n")}
`;
}

export function startH2Haproxy(serverPorts: readonly number[], protocol: "http/1" | "http/2", reuse: Reuse = "safe"): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "weft-haproxy-"));
  const path = join(folder, "haproxy.cfg");
  return startOnFreePorts(1, async ([port]) => {
    writeFileSync(path, configuration(port!, serverPorts, protocol, reuse));
    const child = new Child("haproxy", "haproxy", ["-db", "-f", path]);
    await untilReady(child, () => isListening(port!));
    return {
      port: port!,
      stop: async () => {
        await child.stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  });
}
