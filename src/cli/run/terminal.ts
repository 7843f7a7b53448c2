// Whose signal was it? A terminal sends SIGINT, SIGQUIT and, when it goes, SIGHUP to all of its foreground group: the command has them already.
//
// Where `weft run` has a terminal, the command stays in its group, so that Ctrl-Z, fg and bg work as without it. Then a SIGINT or
// SIGQUIT in the foreground is taken for the terminal's. Without a terminal the command has a session of its own, and every signal is passed on.

import { readFileSync } from "node:fs";

export interface TerminalState {
  /** There is a controlling terminal. */
  readonly isThere: boolean;
  /** This process's group is the one that the terminal talks to. */
  readonly isForeground: boolean;
}

/** What /proc/PID/stat says: behind the name in parentheses come state, parent, group, session, terminal, the terminal's foreground group. */
export function parseTerminal(stat: string): TerminalState {
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const isThere = terminal !== undefined && terminal !== "0";
  return { isThere, isForeground: isThere && group === foreground };
}

/** Of this process, now. */
export function terminalState(): TerminalState {
  try {
    return parseTerminal(readFileSync("/proc/self/stat", "latin1"));
  } catch {
    return { isThere: false, isForeground: false };
  }
}

/** True when the command, in this process's group, must have got the signal as well. */
export function wasForAll(signal: NodeJS.Signals, now: TerminalState): boolean {
  if (signal === "SIGINT" || signal === "SIGQUIT") return now.isForeground;
  return signal === "SIGHUP" && !now.isThere;
}
