// The frame of a scenario: origins and a proxy that live as long as its tests and prove on leaving that nothing is left.

import { after, before } from "node:test";
import type { ProxyOptions } from "./proxy-config.ts";
import { ProxyProcess } from "./proxy-process.ts";

/** What went wrong in `after` hooks inside of a describe: Node 22 reports that, and still counts no failure and exits with 0. */
const failedEnds: Error[] = [];

// Not inside of a describe: here a failure does count.
after(() => {
  if (failedEnds.length > 0) throw failedEnds[0];
});

/** Stops a proxy in an `after` hook, so that a bad end fails the run. */
export async function stopProxy(proxy: ProxyProcess | undefined): Promise<void> {
  await proxy?.stop().catch((error: Error) => {
    failedEnds.push(error);
    throw error;
  });
}

export interface Scenario<O> {
  /** Set before the first test. */
  readonly origins: O;
  readonly proxy: ProxyProcess;
  /** The proxy's outbound port. */
  readonly port: number;
}

/** Call at the top of a `describe`: starts the origins, then the proxy configured for them; stops both at its end. */
export function scenario<O extends Record<string, { stop(): Promise<void> }>>(
  startOrigins: () => Promise<O>,
  configure: (origins: O) => ProxyOptions,
): Scenario<O> {
  let origins: O | undefined;
  let proxy: ProxyProcess | undefined;
  before(async () => {
    origins = await startOrigins();
    proxy = await ProxyProcess.start(configure(origins));
  });
  after(async () => {
    try {
      await stopProxy(proxy);
    } finally {
      await Promise.all(Object.values(origins ?? {}).map((origin) => origin.stop()));
    }
  });
  return {
    get origins() {
      return origins!;
    },
    get proxy() {
      return proxy!;
    },
    get port() {
      return proxy!.port;
    },
  };
}
