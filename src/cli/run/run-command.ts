// `weft run -- COMMAND`: a command behind a proxy of its own.
//
//   look       the command must be there (127, 126)
//   wait       for the proxy: its listeners, its certificate; without it the command never starts (125, 64)
//   run        the command with this process's standard streams, environment and signals; a proxy that dies is started again
//   end        when the command has ended the proxy drains and ends; the exit code is the command's
//
// Standard error may be a pipe that the command has as well: it is written to by its number, because Node's stream would make it
// non-blocking for the command, too.

import { type ChildProcess, spawn } from "node:child_process";
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { constants as system } from "node:os";
import { TOKEN_VARIABLE } from "../../config/config-source.ts";
import { BAD_CONFIGURATION } from "../../config/problem.ts";
import { ignoringHangUp } from "../hang-up.ts";
import { commandMistake, spawnFailureCode } from "./command-file.ts";
import { withHttpProxy } from "./http-proxy.ts";
import { type FirstStart, KeptProxy } from "./kept-proxy.ts";
import { buryOrphans } from "./orphans.ts";
import type { RunOptions } from "./run-arguments.ts";
import { terminalState, wasForAll } from "./terminal.ts";

/** The exit code of what went wrong before the command could start, as that of `env`, `timeout` and `docker run`. */
export const NOT_READY = 125;
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
const STDERR = 2;
const { O_APPEND, O_NOCTTY, O_WRONLY } = constants;

function say(text: string): void {
  try {
    writeSync(STDERR, `weft run: ${text}\n`);
  } catch {
    // Nobody reads it, or not now.
  }
}

/** Runs until the command and the proxy have ended; resolves to the exit code. `isHangUpIgnored`: SIGHUP is nobody's, the command's neither. */
export async function runRun(options: RunOptions, isHangUpIgnored: boolean): Promise<number> {
  const mistake = commandMistake(options.command[0]!, process.env.PATH);
  if (mistake !== null) {
    say(mistake.message);
    return mistake.code;
  }
  const logFd = openLog(options.proxyLog);
  if (logFd === null) return NOT_READY;
  return await new Run(options, logFd, isHangUpIgnored).toEnd();
}

/** Where the proxy's output goes. A pipe or a terminal is opened anew, so that what the proxy does to it is not done to the command's. */
function openLog(path: string | null): number | null {
  try {
    if (path !== null) return openSync(path, "a", 0o640);
  } catch (error) {
    say(`--proxy-log: ${(error as Error).message}`);
    return null;
  }
  try {
    const stats = fstatSync(STDERR);
    if (stats.isFIFO() || stats.isCharacterDevice()) return openSync(`/proc/self/fd/${STDERR}`, O_WRONLY | O_APPEND | O_NOCTTY);
  } catch {
    // Another user's terminal, for instance: then it is shared.
  }
  return STDERR;
}

class Run {
  readonly #options: RunOptions;
  readonly #isHangUpIgnored: boolean;
  readonly #proxy: KeptProxy;
  /** At the start: with it, the command stays in this process's group. */
  readonly #hasTerminal = terminalState().isThere;
  #command: ChildProcess | null = null;
  #isOver = false;
  #onSignal: (signal: NodeJS.Signals) => void = () => undefined;
  readonly #signalled = new Promise<NodeJS.Signals>((resolve) => {
    this.#onSignal = resolve;
  });

  constructor(options: RunOptions, logFd: number, isHangUpIgnored: boolean) {
    this.#options = options;
    this.#isHangUpIgnored = isHangUpIgnored;
    for (const signal of SIGNALS) {
      if (signal !== "SIGHUP" || !isHangUpIgnored) process.on(signal, () => this.#signal(signal));
    }
    this.#proxy = new KeptProxy(options.proxy, logFd, say);
  }

  async toEnd(): Promise<number> {
    const lookForOrphans = await buryOrphans(() => [this.#command?.pid ?? 0, this.#proxy.pid ?? 0]);
    const started = await this.#untilReady();
    if (typeof started === "number") return started;
    const code = await this.#runCommand(started);
    lookForOrphans();
    this.#isOver = true;
    await this.#proxy.stop();
    lookForOrphans();
    return code;
  }

  /** The command's environment, without the join token, which is the proxy's alone; or the exit code, when there is nothing left to run. */
  async #untilReady(): Promise<NodeJS.ProcessEnv | number> {
    const { readyTimeoutMs, httpProxy } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), readyTimeoutMs);
    });
    const first = await Promise.race([this.#proxy.firstStart, this.#signalled, late]);
    clearTimeout(timer);
    if (first === "late") return this.#giveUp(`the proxy was not ready within ${readyTimeoutMs / 1000} s (--ready-timeout)`, NOT_READY);
    if (typeof first === "string") return this.#giveUp(`${first} before the proxy was ready`, signalCode(first));
    if (first.type === "ended") return this.#giveUp(`the proxy ended ${howItEnded(first)}, its messages tell why`, codeOf(first));
    const { [TOKEN_VARIABLE]: _, ...environment } = process.env;
    if (!httpProxy) return environment;
    if ("mistake" in first.httpProxy) return this.#giveUp(`--http-proxy: ${first.httpProxy.mistake}`, BAD_CONFIGURATION);
    return withHttpProxy(environment, first.httpProxy.url);
  }

  async #giveUp(why: string, code: number): Promise<number> {
    this.#isOver = true;
    say(`${why}; the command was not started`);
    // There is nothing to drain.
    void this.#proxy.stop();
    await this.#proxy.stop();
    return code;
  }

  #runCommand(env: NodeJS.ProcessEnv): Promise<number> {
    const commandLine = this.#options.command as [string, ...string[]];
    const [file, ...args] = this.#isHangUpIgnored ? ignoringHangUp(commandLine) : commandLine;
    const command = spawn(file, args, { env, stdio: "inherit", detached: !this.#hasTerminal });
    this.#command = command;
    if (command.pid !== undefined) this.#proxy.tellCommand(command.pid);
    return new Promise((resolve) => {
      command.once("error", (error: NodeJS.ErrnoException) => {
        if (command.pid !== undefined) return;
        say(`${file} could not be started: ${error.message}`);
        resolve(spawnFailureCode(error));
      });
      command.once("exit", (code, signal) => {
        this.#command = null;
        resolve(signal === null ? (code ?? NOT_READY) : signalCode(signal));
      });
    });
  }

  #signal(signal: NodeJS.Signals): void {
    const isUser = signal === "SIGUSR1" || signal === "SIGUSR2";
    if (this.#command !== null) {
      if (!this.#hasTerminal || !wasForAll(signal, terminalState())) this.#command.kill(signal);
    } else if (isUser) return;
    else if (this.#isOver) void this.#proxy.stop();
    else this.#onSignal(signal);
  }
}

function signalCode(signal: NodeJS.Signals): number {
  return 128 + system.signals[signal];
}

function howItEnded({ code, signal }: Extract<FirstStart, { type: "ended" }>): string {
  return signal === null ? `with code ${code}` : `by ${signal}`;
}

function codeOf({ code }: Extract<FirstStart, { type: "ended" }>): number {
  return code === BAD_CONFIGURATION ? BAD_CONFIGURATION : NOT_READY;
}
