// Ports for processes that cannot say which one they got.

import { createServer } from "node:net";

/** Ports that were free a moment ago, all different. Who uses them must cope with a loss of the race: start again with others. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** A port on which nothing listens. */
export async function closedPort(): Promise<number> {
  return (await freePorts(1))[0]!;
}
