// Three endpoints, one of which takes 20 ms longer: a picker that sees it sends little there, one that counts turns sends a third.
//
// At a fixed rate, so that slow answers do not slow the load down. `direct` is the first of the quick ones: nobody could do better.

import { OPEN_LOOP, ORDINARY, type Scenario } from "./scenario.ts";

const SLOW_MS = 20;

export const SLOW_ENDPOINT: Scenario = {
  ...ORDINARY,
  name: "slow-endpoint",
  what: `three endpoints, one of them ${SLOW_MS} ms slower, at a fixed rate`,
  needs: ["http", "balance"],
  origin: "uws",
  endpointDelaysMs: [0, 0, SLOW_MS],
  loads: [OPEN_LOOP],
};
