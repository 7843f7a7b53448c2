// Two Weft proxies with mutual TLS between them, HTTP/1 at both ends; CPU is that of both, beside one plain proxy of the others.

import { CLOSED_LOOP, OPEN_LOOP, ORDINARY, type Scenario } from "./scenario.ts";

export const MESH_PAIR: Scenario = {
  ...ORDINARY,
  name: "mesh-pair",
  what: "small answers through a pair of Weft's with mutual TLS between them, beside one plain proxy of the others",
  isMeshPair: true,
  loads: [CLOSED_LOOP, OPEN_LOOP],
  bars: [
    { measure: "cpu", load: CLOSED_LOOP.id, against: "nginx", bar: 2.5, goal: 2 },
    { measure: "added-latency", load: OPEN_LOOP.id, percentile: 50, bar: 0.3, goal: 0.2 },
    { measure: "added-latency", load: OPEN_LOOP.id, percentile: 99, bar: 1, goal: 0.6 },
  ],
};
