// The control plane's log: JSON lines by pino on standard output. Refusals are gathered, so that nobody can fill a disk by being refused.

import { pino } from "pino";
import type { IdentityLog } from "./identity/authority.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

export type ControlLogLevel = (typeof LOG_LEVELS)[number];

/** Unwritten bytes that are kept for a reader that stalls; what is over is lost. */
const BUFFER_BYTES_MAX = 1024 * 1024;

const STDOUT = 1;

/** A log, and what writes the rest of it at the end. */
export function openLog(level: ControlLogLevel, name: string): { readonly log: IdentityLog; readonly flush: () => void } {
  const destination = pino.destination({ dest: STDOUT, sync: false, maxLength: BUFFER_BYTES_MAX });
  const logger = pino(
    { level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    destination,
  );
  return {
    log: (at, message, fields) => logger[at](fields ?? {}, message),
    flush: () => {
      try {
        destination.flushSync();
      } catch {
        // Nobody reads.
      }
    },
  };
}

/** Lines per second of one kind; the others are counted and said with the next. */
const LINES_PER_SECOND = 10;

/** A log that lets `LINES_PER_SECOND` through. */
export function throttled(log: IdentityLog, nowMs: () => number = () => performance.now()): IdentityLog {
  let second = 0;
  let lines = 0;
  let left = 0;
  return (level, message, fields) => {
    const now = Math.floor(nowMs() / 1000);
    if (now !== second) {
      second = now;
      lines = 0;
    }
    if (lines >= LINES_PER_SECOND) {
      left++;
      return;
    }
    lines++;
    log(level, message, left === 0 ? fields : { ...fields, notLogged: left });
    left = 0;
  };
}
