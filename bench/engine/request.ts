// What a run is asked to do: the command line's wishes, resolved. The engine knows presets only by what stands here.

import type { Scenario } from "../load/scenario.ts";
import type { PeerKind } from "../peers/peer.ts";

export interface RunRequest {
  readonly title: string;
  readonly preset: string;
  readonly commandLine: string;
  readonly scenarios: readonly Scenario[];
  /** Which proxies; those that are not installed are named as skipped. */
  readonly peers: readonly PeerKind[];
  /** Null: nginx where it is installed. */
  readonly origin: "nginx" | "uws" | null;
  readonly quick: boolean;
  readonly pairs: number;
  readonly workers: number;
  readonly rateRps: number;
  readonly connections: number;
  /** Of a round; null: as the scenario says. */
  readonly seconds: number | null;
  /** After so long nothing new is begun, and what is left out is named; null: no limit but the plan's own. */
  readonly deadlineMs: number | null;
  /** An extra lap for Weft with a probe loaded: GC pauses, event loop. */
  readonly probe: boolean;
  /** Our figures beside wrk's and ab's own. */
  readonly crossCheck: boolean;
  readonly isSilent: boolean;
}

/** Rounds of a quick run, and what it cuts the scenarios' own numbers to. */
export const QUICK = {
  seconds: 1,
  requests: 3_000,
  warmRequests: 3_000,
  warmMs: 1_000,
  idleConnections: 200,
} as const;

/** A warm-up that has not come to its requests by then has to do: a slow proxy is warm too. */
export const WARM_MS_MAX = 15_000;
