// Ports for processes that cannot say which one they got, and ports on which nothing listens.
//
// None of them is the kernel's to give: who listens on port 0, or connects, gets one of the ephemeral range, and these lie outside. None is
// given twice by this file, in whatever process: while the process that got it lives, it holds an abstract socket with the port's number in
// its name.

import { readFileSync } from "node:fs";
import { createServer, type ListenOptions } from "node:net";

/** Below it, a machine's own services. */
const LOWEST = 10_000;
const HIGHEST = 65_535;
/** With fewer outside, the range is most of all ports, and all have to do. */
const OUTSIDE_MIN = 1_000;

function candidates(): number[] {
  const all = Array.from({ length: HIGHEST - LOWEST + 1 }, (_, index) => LOWEST + index);
  const [first, last] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "latin1").trim().split(/\s+/).map(Number);
  const outside = all.filter((port) => port < first! || port > last!);
  return outside.length < OUTSIDE_MIN ? all : outside;
}

const ports = candidates();
/** Elsewhere in each process, so that few ask for the same. */
let next = Math.floor(Math.random() * ports.length);

/** Listens, and resolves with what ends that; null where another one listens. */
function listen(where: ListenOptions): Promise<(() => Promise<void>) | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(null) : reject(error)));
    server.listen(where, () => {
      server.unref();
      resolve(() => new Promise((done) => server.close(() => done())));
    });
  });
}

async function onePort(): Promise<number> {
  for (let tries = 0; tries < ports.length; tries++) {
    const port = ports[next++ % ports.length]!;
    const release = await listen({ path: `\0weft-test-port-${port}` });
    if (release === null) continue;
    // On every address: nobody may have it on any.
    const close = await listen({ port });
    if (close === null) {
      await release();
      continue;
    }
    await close();
    return port;
  }
  throw new Error(`all of ${ports.length} ports are taken`);
}

/** Ports that are free, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) found.push(await onePort());
  return found;
}

/** A port on which nothing listens, unless the caller does later. */
export async function closedPort(): Promise<number> {
  return onePort();
}
