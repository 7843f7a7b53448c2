// Ways to break a thread on purpose. Reached only with WEFT_TEST_HOOKS=1 in the environment, never otherwise.
//
// The tests of crash recovery, of the watchdog and of proxy_overhead_us need a real thread that really fails.

import type { AdminRequest, AdminServer } from "../admin/admin-server.ts";
import type { ProxyIdentity } from "./identity/proxy-identity.ts";
import type { TestAction } from "./worker-messages.ts";
import type { WorkerSet } from "./worker-set.ts";

/** `stutter`: blocks the loop for so long, so often (design: the reported overhead must show it). */
const STUTTER_BLOCK_MS = 8;
const STUTTER_PERIOD_MS = 40;

const ACTIONS: readonly TestAction[] = ["throw", "exhaust-heap", "exit", "block", "stutter"];

/** Seats that can be broken by a route. */
const SEATS_MAX = 8;

/** True when this process may be broken on purpose. */
export function hasTestHooks(environment: NodeJS.ProcessEnv): boolean {
  return environment["WEFT_TEST_HOOKS"] === "1";
}

/** The mesh without its TLS: what proxies say to each other can be read. */
export function isMeshPlain(environment: NodeJS.ProcessEnv): boolean {
  return environment["WEFT_TEST_MESH"] === "plain";
}

/** The DNS server that the tests brought, as `ip:port` in WEFT_TEST_DNS. */
export function testDnsServer(environment: NodeJS.ProcessEnv): { server?: string } {
  const server = environment["WEFT_TEST_DNS"];
  return hasTestHooks(environment) && server !== undefined ? { server } : {};
}

/** POST /test/<worker>/<action> on the admin port, and POST /test/clock with the milliseconds by which the clock is wrong from now on. */
export function testRoutes(server: AdminServer, workers: WorkerSet, identity: ProxyIdentity): void {
  const setClock = (request: AdminRequest) => {
    const offsetMs = Number(request.body);
    if (request.body === "" || !Number.isSafeInteger(offsetMs)) return { status: 400, body: "" };
    identity.clock.offsetMs = offsetMs;
    identity.lookAtClock();
    return { status: 204, body: "" };
  };
  server.route("POST", "/test/clock", setClock, { loopbackOnly: true });
  for (let worker = 0; worker < SEATS_MAX; worker++) {
    for (const action of ACTIONS) {
      server.route(
        "POST",
        `/test/${worker}/${action}`,
        () => {
          workers.test(worker, action);
          return { status: 204, body: "" };
        },
        { loopbackOnly: true },
      );
    }
  }
}

/** Breaks this thread. */
export function runTestAction(action: TestAction): void {
  switch (action) {
    case "throw":
      throw new Error("test hook: throw");
    case "exit":
      process.exit(7);
      break;
    case "exhaust-heap":
      exhaustHeap();
      break;
    case "block":
      blockFor(Number.POSITIVE_INFINITY);
      break;
    case "stutter":
      setInterval(() => sleepFor(STUTTER_BLOCK_MS), STUTTER_PERIOD_MS);
      break;
  }
}

function blockFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    // The point of it.
  }
}

/** Stands still without taking a processor: what else runs on the machine is not slowed down, and can be measured beside it. */
function sleepFor(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function exhaustHeap(): void {
  const kept: object[] = [];
  for (;;) kept.push({ kept, text: `${kept.length}`.repeat(8) });
}
