// What a proxy says to whoever started it inside the same program, and what it hears from there: `weft run`, and the watch of a job's end.

import type { ListenerSnapshot } from "../config/snapshot.ts";

export interface ProxyDirector {
  /** SIGTERM and SIGINT do nothing: a terminal or a service manager sends them to everybody, and the proxy must end last. */
  readonly ignoresSignals: boolean;
  /** Clients are served from now on, at these listeners. */
  ready(listeners: readonly ListenerSnapshot[]): void;
  /** Takes the proxy's `stop`. The first call of it begins the drain, the second cuts what is left; `reason` goes to the log. */
  direct(stop: (reason: string) => void): void;
}
