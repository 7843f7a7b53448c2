// The plainest case, and the one that everybody compares: small answers over connections that stay open.

import { SMALL_BODY_BYTES } from "../peers/peer.ts";
import { CLOSED_LOOP, ORDINARY, type Scenario } from "./scenario.ts";

export const PLAIN: Scenario = {
  ...ORDINARY,
  name: "plain",
  what: `${SMALL_BODY_BYTES}-byte answers over 64 keep-alive connections`,
  loads: [CLOSED_LOOP],
  bars: [{ measure: "cpu", load: CLOSED_LOOP.id, against: "nginx", bar: 1.25, goal: 1 }],
};
