// A new connection for every request: what `ab` does unless it is told not to, and what health checks and scripts do.

import { CLOSED_LOOP, type Load, ORDINARY, type Scenario } from "./scenario.ts";

const LOAD: Load = {
  ...CLOSED_LOOP,
  tools: ["ab"],
  what: "a new connection per request, as fast as answers come",
  connections: 100,
  keepAlive: false,
  requests: 20_000,
};

export const NEW_CONNECTION: Scenario = {
  ...ORDINARY,
  name: "new-connection",
  what: "a new connection per request, 100 at a time",
  loads: [LOAD],
  bars: [{ measure: "cpu", load: LOAD.id, against: "nginx", bar: 2.2, goal: 1.5 }],
};
