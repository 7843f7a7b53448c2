// Two proxies in a row, as between two services that each have one beside them. Plain HTTP/1.1 between them; CPU is that of both.

import { CLOSED_LOOP, OPEN_LOOP, ORDINARY, type Scenario } from "./scenario.ts";

export const PROXY_PAIR: Scenario = {
  ...ORDINARY,
  name: "proxy-pair",
  what: "small answers through two proxies in a row, plain HTTP/1.1",
  hops: 2,
  loads: [CLOSED_LOOP, OPEN_LOOP],
};
