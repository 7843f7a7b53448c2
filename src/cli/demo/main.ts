// `npm start`: three demo services, the real proxy in front of them, a steady load, and a live table until Ctrl-C.
//
// With --duration it ends by itself with a summary and exit code 0; without a terminal it prints one plain line a second.
// When its output is closed it ends as well, and removes what it has made.
// Exit code 1, and a sentence about what to do, when a port is taken, an argument is wrong, or the proxy ends early.

import { DemoLoad } from "./demo-load.ts";
import { DemoObserver } from "./demo-observer.ts";
import { DEMO_USAGE, type DemoOptions, parseDemoOptions } from "./demo-options.ts";
import { claimPort, startProxy } from "./demo-proxy.ts";
import { introLines, plainLine, summaryLines, tableLines } from "./demo-report.ts";
import { startServices } from "./demo-services.ts";
import { Screen } from "./screen.ts";

const REFRESH_MS = 1000;

/** A mistake of the caller or a failure with a known reason: its message is all that is printed. */
class DemoError extends Error {}

async function claim(flag: string, role: string, port: number): Promise<number> {
  try {
    return await claimPort(port);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "EADDRINUSE" ? "is taken" : `cannot be used (${(error as Error).message})`;
    const other = port + 100 > 65_535 ? port - 100 : port + 100;
    throw new DemoError(`port ${port} (${role}) ${reason}; choose another: npm start -- --${flag} ${other}`);
  }
}

/** Resolves when nobody reads what is printed any more (`npm start | head`): nothing is left to show, and that is no failure. */
const unread = new Promise<void>((resolve) => {
  process.stdout.on("error", () => resolve());
});

/** Resolves at Ctrl-C, SIGTERM, after the duration, or when nobody reads on. */
function untilStopped(durationMs: number | null): { readonly promise: Promise<void>; cancel(): void } {
  let cancel = (): void => {};
  const promise = new Promise<void>((resolve) => {
    const timer = durationMs === null ? null : setTimeout(resolve, durationMs);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
    void unread.then(resolve);
    cancel = () => {
      if (timer !== null) clearTimeout(timer);
      resolve();
    };
  });
  return { promise, cancel };
}

/** Shows the state once a second until `stopped`; a scrape that fails is left out, the proxy's end is reported elsewhere. */
function showUntil(stopped: Promise<void>, observer: DemoObserver, screen: Screen | null): Promise<void> {
  let isShowing = false;
  const timer = setInterval(async () => {
    if (isShowing) return;
    isShowing = true;
    try {
      const view = await observer.observe();
      if (screen === null) process.stdout.write(`${plainLine(view)}\n`);
      else screen.draw(tableLines(view));
    } catch (error) {
      process.stderr.write(`weft: no figures this second: ${(error as Error).message}\n`);
    } finally {
      isShowing = false;
    }
  }, REFRESH_MS);
  return stopped.finally(() => clearInterval(timer));
}

async function run(options: DemoOptions): Promise<void> {
  const port = await claim("port", "proxy", options.port);
  const adminPort = await claim("admin-port", "admin", options.adminPort);
  const services = await startServices();
  try {
    const proxy = await startProxy(
      port,
      adminPort,
      services.map(({ address }) => address),
    );
    try {
      const adminUrl = `http://127.0.0.1:${adminPort}`;
      process.stdout.write(
        `${introLines({ proxyUrl: `http://127.0.0.1:${port}`, adminUrl, configPath: proxy.configPath }).join("\n")}\n\n`,
      );
      const load = new DemoLoad(port, options.rate);
      const observer = new DemoObserver(adminUrl, services, load);
      const screen = process.stdout.isTTY ? new Screen(process.stdout) : null;
      const stop = untilStopped(options.durationMs);
      load.start();
      const early = proxy.endedEarly.then((reason) => {
        throw new DemoError(reason);
      });
      try {
        await Promise.race([showUntil(stop.promise, observer, screen), early]);
        await load.stop();
        const view = await observer.conclude();
        process.stdout.write(`\n${summaryLines(view, load).join("\n")}\n`);
        if (load.succeeded === 0) throw new DemoError("no request succeeded");
      } finally {
        stop.cancel();
        screen?.close();
        await load.stop();
      }
    } finally {
      await proxy.stop();
    }
  } finally {
    await Promise.all(services.map((service) => service.stop()));
  }
}

async function main(): Promise<number> {
  let options: DemoOptions | null;
  try {
    options = parseDemoOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`weft: ${(error as Error).message}\n\n${DEMO_USAGE}`);
    return 1;
  }
  if (options === null) {
    process.stdout.write(DEMO_USAGE);
    return 0;
  }
  try {
    await run(options);
    return 0;
  } catch (error) {
    process.stderr.write(`weft: ${error instanceof DemoError ? error.message : (error as Error).stack}\n`);
    return 1;
  }
}

process.exitCode = await main();
