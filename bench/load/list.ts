// Every scenario. HTTP/2, TLS and mutual TLS between proxies are not here, because Weft does not speak them yet.

import { BODIES } from "./bodies.ts";
import { FIXED_RATE } from "./fixed-rate.ts";
import { MANY_IDLE } from "./many-idle.ts";
import { NEW_CONNECTION } from "./new-connection.ts";
import { OPAQUE_TCP } from "./opaque-tcp.ts";
import { PLAIN } from "./plain.ts";
import { PROXY_PAIR } from "./proxy-pair.ts";
import type { Scenario } from "./scenario.ts";
import { SLOW_ENDPOINT } from "./slow-endpoint.ts";
import { WEBSOCKET_ECHO } from "./websocket-echo.ts";

export const SCENARIOS: readonly Scenario[] = [
  PLAIN,
  FIXED_RATE,
  NEW_CONNECTION,
  ...BODIES,
  WEBSOCKET_ECHO,
  OPAQUE_TCP,
  SLOW_ENDPOINT,
  MANY_IDLE,
  PROXY_PAIR,
];
