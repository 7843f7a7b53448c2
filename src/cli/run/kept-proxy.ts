// The proxy of `weft run`: a process of its own that is started again when it dies.
//
// Before it has been ready once, its end is final: something is wrong that waiting does not mend. Later ends are accidents, and repaired at
// once, then more and more slowly (restart-policy.ts); the command goes on meanwhile. An end with code 0 was asked for (POST /shutdown).

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { RestartPolicy } from "../../workers/restart-policy.ts";
import type { ProxyAddress } from "./http-proxy.ts";
import type { ReadyMessage, RunMessage } from "./messages.ts";

const MODULE = fileURLToPath(new URL(`./proxy-child${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url));

export type FirstStart =
  | { readonly type: "ready"; readonly httpProxy: ProxyAddress }
  | { readonly type: "ended"; readonly code: number | null; readonly signal: string | null };

export class KeptProxy {
  readonly #args: readonly string[];
  readonly #logFd: number;
  readonly #say: (text: string) => void;
  readonly #restarts = new RestartPolicy();
  #child: ChildProcess | null = null;
  #restart: NodeJS.Timeout | null = null;
  #commandPid: number | null = null;
  #url: string | null = null;
  #wasReady = false;
  #stops = 0;
  #onFirst: (start: FirstStart) => void = () => undefined;
  #onEnd: () => void = () => undefined;
  /** Ready, or over before that. */
  readonly firstStart = new Promise<FirstStart>((resolve) => {
    this.#onFirst = resolve;
  });
  /** There is no process left, and there will be none. */
  readonly #ended = new Promise<void>((resolve) => {
    this.#onEnd = resolve;
  });

  /** @param args options of `weft proxy`; what it logs goes to the descriptor `logFd` */
  constructor(args: readonly string[], logFd: number, say: (text: string) => void) {
    this.#args = args;
    this.#logFd = logFd;
    this.#say = say;
    this.#start();
  }

  /** The proxy's process; null while there is none. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Tells the proxy whom to end, should this process be killed. */
  tellCommand(pid: number): void {
    this.#commandPid = pid;
    this.#send({ type: "command", pid });
  }

  /** The first time it drains, the second time it cuts what is left, then it is killed. Resolves when it is gone. */
  stop(): Promise<void> {
    this.#stops++;
    if (this.#restart !== null) {
      clearTimeout(this.#restart);
      this.#restart = null;
      this.#onEnd();
    } else if (this.#stops <= 2) this.#send({ type: "stop" });
    else this.#child?.kill("SIGKILL");
    return this.#ended;
  }

  #start(): void {
    this.#restart = null;
    // A session of its own: what a terminal sends to its foreground group is not for the proxy.
    const child = fork(MODULE, this.#args, { detached: true, stdio: ["ignore", this.#logFd, this.#logFd, "ipc"] });
    this.#child = child;
    child.on("message", (message: ReadyMessage) => this.#ready(message));
    let isOver = false;
    const over = (code: number | null, signal: string | null): void => {
      if (isOver) return;
      isOver = true;
      this.#child = null;
      this.#exited(code, signal);
    };
    child.once("error", (error) => {
      if (child.pid !== undefined) return;
      this.#say(`the proxy could not be started: ${error.message}`);
      over(null, null);
    });
    child.once("exit", over);
    if (this.#commandPid !== null) this.#send({ type: "command", pid: this.#commandPid });
    if (this.#stops > 0) this.#send({ type: "stop" });
  }

  #ready({ httpProxy }: ReadyMessage): void {
    const url = "url" in httpProxy ? httpProxy.url : null;
    if (this.#wasReady) this.#say(url === this.#url ? "the proxy is back" : `the proxy is back at another address: ${url}`);
    this.#wasReady = true;
    this.#url = url;
    this.#onFirst({ type: "ready", httpProxy });
  }

  #exited(code: number | null, signal: string | null): void {
    this.#onFirst({ type: "ended", code, signal });
    const wasAsked = this.#stops > 0 || code === 0;
    if (wasAsked || !this.#wasReady) {
      if (this.#wasReady && this.#stops === 0) this.#say("the proxy was told to end; the command goes on without it");
      this.#onEnd();
      return;
    }
    const { crashes, delayMs } = this.#restarts.crashed(performance.now());
    const how = signal === null ? `with code ${code}` : `by ${signal}`;
    const when = delayMs === 0 ? "" : ` in ${delayMs / 1000} s`;
    this.#say(`the proxy ended ${how}, ${crashes} within a minute; it is started again${when}, the command goes on`);
    this.#restart = setTimeout(() => this.#start(), delayMs);
  }

  #send(message: RunMessage): void {
    // One that is ending has closed its end already.
    if (this.#child?.connected) this.#child.send(message, () => undefined);
  }
}
