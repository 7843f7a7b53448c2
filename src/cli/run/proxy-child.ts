// The process of the proxy that `weft run` keeps. It ends when it is told to, or when `weft run` is gone.
//
// It is the last to end, so signals do not count: service managers send them to every process at once. Should `weft run` be killed, this
// process does what is left to do: it ends the command, as it would have been ended, and then itself.

import type { ListenerSnapshot } from "../../config/snapshot.ts";
import { runProxyCommand } from "../proxy-command.ts";
import { readProxyArguments } from "../proxy-arguments.ts";
import { proxyAddress } from "./http-proxy.ts";
import type { ReadyMessage, RunMessage } from "./messages.ts";
import { startTime } from "./processes.ts";

/** A command that does not end for SIGTERM is killed then; Docker's default, too. */
const COMMAND_END_MS = 10_000;
const LOOK_MS = 50;

const commandOf = { pid: 0, start: null as string | null };
let isDone = false;
let stopProxy: ((reason: string) => void) | null = null;
const early: string[] = [];

function stop(reason: string): void {
  if (stopProxy === null) early.push(reason);
  else stopProxy(reason);
}

function isCommandRunning(): boolean {
  return commandOf.start !== null && startTime(commandOf.pid) === commandOf.start;
}

async function endCommand(): Promise<void> {
  const signals = [
    ["SIGTERM", COMMAND_END_MS],
    ["SIGKILL", COMMAND_END_MS],
  ] as const;
  for (const [signal, waitMs] of signals) {
    if (!isCommandRunning()) return;
    process.kill(commandOf.pid, signal);
    for (const end = performance.now() + waitMs; isCommandRunning() && performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

process.on("message", (message: RunMessage) => {
  if (message.type === "stop") stop("weft run");
  else Object.assign(commandOf, { pid: message.pid, start: startTime(message.pid) });
});

async function onDisconnect(): Promise<void> {
  if (isDone) return;
  // There is nobody else left who could be told.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop(signal));
  await endCommand().catch(() => undefined);
  stop("weft run is gone");
}

process.on("disconnect", onDisconnect);
// It may have gone while this module was loaded.
if (!process.connected) void onDisconnect();

const director = {
  ignoresSignals: true,
  ready: (listeners: readonly ListenerSnapshot[]) => {
    const message: ReadyMessage = { type: "ready", httpProxy: proxyAddress(listeners) };
    if (process.connected) process.send?.(message);
  },
  direct: (stopper: (reason: string) => void) => {
    stopProxy = stopper;
    for (const reason of early) stopper(reason);
  },
};

process.exitCode = await runProxyCommand(readProxyArguments(process.argv.slice(2)) ?? {}, director);
isDone = true;
if (process.connected) process.disconnect();
