// What policies and mesh TLS refuse, and endpoints that cannot be reached, as log lines: one per client or endpoint and kind at once; how often it came again is written with what comes ten seconds later,
// or at the end. So a client that is refused all the time, or an audit under load, does not cost a line per request.

import type { LogFields, LogLevel } from "./forwarder-types.ts";

/** Repetitions for one client are gathered for so long. */
const GATHER_MS = 10_000;

/** Clients that are told apart within that time; further ones count together, as `others`. */
const CLIENTS_MAX = 100;

interface Noted {
  readonly message: string;
  readonly fields: LogFields;
  times: number;
}

export class PolicyLog {
  readonly #write: (level: LogLevel, message: string, fields: LogFields) => void;
  readonly #now: () => number;
  readonly #noted = new Map<string, Noted>();
  #since = 0;

  /** `now`: milliseconds that never go back. */
  constructor(write: (level: LogLevel, message: string, fields: LogFields) => void, now: () => number) {
    this.#write = write;
    this.#now = now;
  }

  /** `fields` are those of the first; later ones of the same client (or endpoint) and with the same `detail` are counted. */
  note(message: string, who: string, fields: LogFields, as: "client" | "endpoint" = "client"): void {
    const now = this.#now();
    if (now - this.#since >= GATHER_MS) this.flush();
    if (this.#noted.size === 0) this.#since = now;
    const key = `${message}\n${who}\n${String(fields["detail"] ?? "")}`;
    const known = this.#noted.get(key);
    if (known !== undefined) {
      known.times++;
      return;
    }
    if (this.#noted.size >= CLIENTS_MAX) {
      this.#countOther(message, fields, as);
      return;
    }
    this.#noted.set(key, { message, fields: { [as]: who, ...fields }, times: 0 });
    this.#write("info", message, { [as]: who, ...fields });
  }

  #countOther(message: string, fields: LogFields, as: "client" | "endpoint"): void {
    const key = `${message}\nothers`;
    const known = this.#noted.get(key);
    if (known !== undefined) known.times++;
    else this.#noted.set(key, { message, fields: { [as]: "others", ...fields }, times: 1 });
  }

  /** Writes how often what was noted came again. */
  flush(): void {
    for (const { message, fields, times } of this.#noted.values()) {
      if (times > 0) this.#write("info", message, { ...fields, times });
    }
    this.#noted.clear();
  }
}
