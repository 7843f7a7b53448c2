// Thousands of connections that are merely there, while others work: they must cost memory only.

import { CLOSED_LOOP, OPEN_LOOP, ORDINARY, type Scenario } from "./scenario.ts";

const IDLE_CONNECTIONS = 2_000;

export const MANY_IDLE: Scenario = {
  ...ORDINARY,
  name: "many-idle",
  what: `small answers while ${IDLE_CONNECTIONS} other connections are open and idle`,
  idleConnections: IDLE_CONNECTIONS,
  loads: [CLOSED_LOOP, OPEN_LOOP],
};
