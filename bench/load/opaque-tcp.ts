// Bytes that the proxy does not look at. They are the requests of the plain case, so that the two can be compared: the difference is
// what reading HTTP costs.

import { CLOSED_LOOP, OPEN_LOOP, ORDINARY, type Scenario } from "./scenario.ts";

export const OPAQUE_TCP: Scenario = {
  ...ORDINARY,
  name: "opaque-tcp",
  what: "TCP forwarding, 64 connections with small messages both ways",
  needs: ["tcp"],
  mode: "tcp",
  loads: [CLOSED_LOOP, OPEN_LOOP],
};
