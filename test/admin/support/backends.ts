// The backends that a contract test runs against: both where the binary of uWebSockets.js exists for this Node.

import type { TestContext } from "node:test";
import type { AdminServer } from "../../../src/admin/admin-server.ts";
import { createAdminServer } from "../../../src/admin/create-admin-server.ts";

/** Node 20 and 22 have a binary (docs/adr/0003-uwebsockets-repack.md): there its absence is a failure, not a skip. */
const HAS_BINARY = ["115", "127"].includes(process.versions.modules);

export const BACKENDS: readonly ("node" | "uws")[] = HAS_BINARY ? ["node", "uws"] : ["node"];

export interface Running {
  readonly server: AdminServer;
  readonly port: number;
  readonly errors: unknown[];
}

/** A server on an ephemeral port of 127.0.0.1 that ends with the test. */
export async function run(t: TestContext, backend: "node" | "uws", prepare: (server: AdminServer) => void): Promise<Running> {
  const errors: unknown[] = [];
  const server = await createAdminServer({ backend, onError: (error) => errors.push(error) });
  prepare(server);
  const port = await server.listen("127.0.0.1", 0);
  t.after(() => server.close());
  return { server, port, errors };
}
