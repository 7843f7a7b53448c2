// Chooses the backend: uWebSockets.js where its binary loads, node:http and ws elsewhere. Either is loaded only when used.

import type { AdminServer } from "./admin-server.ts";

export interface AdminServerOptions {
  /** Exceptions in handlers and streams. The client got a 500, or its connection was cut. */
  readonly onError: (error: unknown) => void;
  /** `auto` unless a test or an operator wants one of them. */
  readonly backend?: "auto" | "uws" | "node";
}

/** A server without routes that does not listen yet. Rejects only if `backend` names one that cannot be loaded. */
export async function createAdminServer({ onError, backend = "auto" }: AdminServerOptions): Promise<AdminServer> {
  if (backend !== "node") {
    try {
      const { UwsAdminServer } = await import("./uws-server.ts");
      return await UwsAdminServer.load(onError);
    } catch (error) {
      if (backend === "uws") throw error;
    }
  }
  const { NodeAdminServer } = await import("./node-server.ts");
  return new NodeAdminServer(onError);
}
