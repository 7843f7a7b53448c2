// Weft's own log: JSON lines by pino; the only file that imports it. Main thread only: workers send theirs by message.
//
// Written asynchronously into a bounded buffer: a reader of the pipe that stalls must not stall the acceptor; what it then
// misses is lost. `end` and `fatal` write what is left.

import { pino } from "pino";
import type { Log, LogFields, LogLevel } from "./forwarder-types.ts";

/** Levels that can be set; `silent` writes nothing. */
export type LogSetting = LogLevel | "silent";

/** Repetitions of a message are gathered for so long. */
const GATHER_MS = 1_000;

/** Unwritten bytes that are kept for a reader that stalls. */
const BUFFER_BYTES_MAX = 1024 * 1024;

/** How long the end of the process waits for that reader. */
const END_MS = 500;

const STDOUT = 1;

export class Logger {
  readonly #destination = pino.destination({ dest: STDOUT, sync: false, maxLength: BUFFER_BYTES_MAX });
  readonly #pino: ReturnType<typeof pino>;

  constructor(level: LogSetting, name: string) {
    this.#pino = pino(
      { level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
      this.#destination,
    );
  }

  get level(): LogSetting {
    return this.#pino.level as LogSetting;
  }

  set level(level: LogSetting) {
    this.#pino.level = level;
  }

  readonly log: Log = (level, message, fields) => {
    this.#pino[level](fields ?? {}, message);
  };

  /** The last line of a process that cannot go on. */
  fatal(message: string, error: Error): never {
    this.log("fatal", message, { error: error.stack ?? String(error) });
    try {
      this.#destination.flushSync();
    } catch {
      // Nobody reads: the exit code says enough.
    }
    process.exit(1);
  }

  /** Resolves when everything is written, or when nobody has read it for a while. */
  async end(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, END_MS);
      this.#destination.flush(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** A message that may come thousands of times a second: written at most once a second, with how often it came. */
export class GatheredLog {
  readonly #log: Log;
  readonly #level: LogLevel;
  readonly #message: string;
  #count = 0;
  #fields: LogFields = {};
  #timer: NodeJS.Timeout | null = null;

  constructor(log: Log, level: LogLevel, message: string) {
    this.#log = log;
    this.#level = level;
    this.#message = message;
  }

  /** The first is written at once; `fields` of the last one are written with the others. */
  note(fields: LogFields): void {
    this.#count++;
    this.#fields = fields;
    if (this.#timer !== null) return;
    this.#write();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#count > 0) this.#write();
    }, GATHER_MS);
    this.#timer.unref();
  }

  #write(): void {
    const times = this.#count;
    this.#count = 0;
    this.#log(this.#level, this.#message, { ...this.#fields, times });
  }
}
