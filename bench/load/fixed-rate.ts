// A fixed rate, open loop: what one proxy adds to the latency, and what a request costs when nothing batches.
//
// The bars are those of one proxy at 1000 requests/s; at another rate they mean little.

import { OPEN_LOOP, ORDINARY, type Scenario } from "./scenario.ts";

export const FIXED_RATE: Scenario = {
  ...ORDINARY,
  name: "fixed-rate",
  what: "small answers at a fixed rate with jitter, open loop",
  loads: [OPEN_LOOP],
  bars: [
    { measure: "added-latency", load: OPEN_LOOP.id, percentile: 50, bar: 0.15, goal: 0.1 },
    { measure: "added-latency", load: OPEN_LOOP.id, percentile: 99, bar: 0.5, goal: 0.3 },
    { measure: "added-latency", load: OPEN_LOOP.id, percentile: 99.9, bar: null, goal: 1 },
    { measure: "cpu", load: OPEN_LOOP.id, against: "nginx", bar: 1.6, goal: 1.3 },
  ],
};
