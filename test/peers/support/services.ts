// Real servers for the tests: started on free ports with folders of their own, stopped by their own id.

import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child, isListening, startOnFreePorts, TOOL_ENV, untilReady } from "../../../bench/support/child.ts";
import { freePorts } from "../../support/ports.ts";
import { missing, succeed } from "./tools.ts";

export interface Service {
  readonly port: number;
  stop(): Promise<void>;
}

/** Fails with the name of the list to look at, instead of waiting for a server that cannot start. */
function needs(tool: string): void {
  try {
    execFileSync("sh", ["-c", `command -v ${tool}`], { env: TOOL_ENV });
  } catch {
    throw missing(tool);
  }
}

function serviceOf(child: Child, port: number, folder: string | null): Service {
  return {
    port,
    stop: async () => {
      await child.stop();
      if (folder !== null) rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function startRedis(): Promise<Service> {
  needs("redis-server");
  return startOnFreePorts(1, async ([port]) => {
    const child = new Child("redis", "redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    await untilReady(child, () => isListening(port!));
    return serviceOf(child, port!, null);
  });
}

/** NATS: its server speaks first. */
export function startNats(): Promise<Service> {
  needs("nats-server");
  return startOnFreePorts(1, async ([port]) => {
    const child = new Child("nats", "nats-server", ["-a", "127.0.0.1", "-p", String(port)]);
    await untilReady(child, () => isListening(port!));
    return serviceOf(child, port!, null);
  });
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root; its package brings a user for it. */
function postgresAccount(): Account | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"]).toString("utf8"));
  return { uid: id("-u"), gid: id("-g") };
}

/** Where Debian keeps the server's own programs. */
function postgresProgram(name: string): string {
  try {
    return execFileSync("sh", ["-c", `command -v ${name} || ls -1 /usr/lib/postgresql/*/bin/${name} | tail -n 1`])
      .toString("utf8")
      .trim();
  } catch {
    throw missing(name);
  }
}

export async function startPostgres(): Promise<Service> {
  const account = postgresAccount();
  const folder = mkdtempSync(join(tmpdir(), "weft-postgres-"));
  if (account !== null) chownSync(folder, account.uid, account.gid);
  const user = account ?? {};
  const data = join(folder, "data");
  await succeed(postgresProgram("initdb"), ["-D", data, "-U", "weft", "-A", "trust", "--no-sync", "-E", "UTF8"], user);
  const [port] = await freePorts(1);
  const settings = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", `unix_socket_directories=${folder}`];
  // SIGINT ends it at once; SIGTERM would wait for clients.
  const child = new Child("postgres", postgresProgram("postgres"), ["-D", data, "-p", String(port), ...settings], user);
  await untilReady(child, async () => child.log.includes("ready to accept connections"));
  return serviceOf(child, port!, folder);
}
