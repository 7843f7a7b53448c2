// A proxy with too few descriptors: what it cannot take it refuses and counts, nothing dies, and it recovers.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { connect as connectSocket, type Socket } from "node:net";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { once, request } from "../support/client.ts";
import { Metrics } from "../support/metrics.ts";
import { startOrigin } from "../support/origin.ts";
import { freePorts } from "../support/ports.ts";
import { waitUntil } from "../support/wait.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const CLIENTS = 500;
const DESCRIPTORS = 128;

for (const workers of [0, 1]) {
  describe(`${DESCRIPTORS} descriptors, ${CLIENTS} clients, ${workers} workers`, () => {
    it("serves whom it can, refuses and counts the others, and recovers", async () => {
      const origin = await startOrigin((exchange) => exchange.reply(200, "hello"));
      const [port, admin] = await freePorts(2);
      const address = (number: number | undefined) => `127.0.0.1:${number}`;
      const arguments_ = ["proxy", "--listen", address(port), "--to", origin.address, "--admin", address(admin), "--workers", `${workers}`];
      const shell = `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`;
      const proxy = spawn("/bin/sh", ["-c", shell, process.execPath, MAIN, ...arguments_], { stdio: "ignore" });
      const metrics = async (): Promise<Metrics> => new Metrics(await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text());
      const sockets: Socket[] = [];
      try {
        await waitUntil("the proxy", async () => (await fetch(`http://127.0.0.1:${admin}/ready`).catch(() => null))?.ok);
        const idle = readdirSync(`/proc/${proxy.pid}/fd`).length;
        let answered = 0;
        let lost = 0;
        for (let client = 0; client < CLIENTS; client++) {
          const socket = connectSocket(port!, "127.0.0.1");
          sockets.push(socket);
          socket.on("connect", () => socket.write(request("GET", "/")));
          socket.once("data", () => answered++);
          socket.on("error", () => undefined);
          socket.on("close", () => lost++);
        }
        await waitUntil("every client to know", () => answered + lost >= CLIENTS);
        assert.ok(answered >= 20, `${answered} answers`);
        const refused = (await metrics()).sum("proxy_connections_refused_total");
        assert.ok(refused > 0 && refused >= CLIENTS - answered - DESCRIPTORS, `${refused} refusals, ${answered} answers`);
        // They stay: those that have a connection are still served.
        assert.equal(proxy.exitCode, null);
        for (const socket of sockets) socket.destroy();
        await waitUntil("an answer to a new client", async () => {
          const response = await once(port!, request("GET", "/", { Connection: "close" })).catch(() => null);
          return response?.status === 200;
        });
        for (let round = 0; round < 50; round++) {
          assert.equal((await once(port!, request("GET", "/", { Connection: "close" }))).status, 200);
        }
        await waitUntil(
          "the descriptors to be given back",
          () => readdirSync(`/proc/${proxy.pid}/fd`).length <= idle + origin.openConnections,
        );
        proxy.kill("SIGTERM");
        await waitUntil("the end", () => proxy.exitCode !== null);
        assert.equal(proxy.exitCode, 0);
      } finally {
        proxy.kill("SIGKILL");
        for (const socket of sockets) socket.destroy();
        await origin.stop();
      }
    });
  });
}
