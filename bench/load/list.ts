// Every scenario.

import { BODIES } from "./bodies.ts";
import { FIXED_RATE } from "./fixed-rate.ts";
import { HANDSHAKES } from "./handshakes.ts";
import { HTTP2 } from "./http2.ts";
import { HTTP2_BODIES } from "./http2-bodies.ts";
import { MANY_IDLE } from "./many-idle.ts";
import { MESH_PAIR } from "./mesh-pair.ts";
import { NEW_CONNECTION } from "./new-connection.ts";
import { OPAQUE_TCP } from "./opaque-tcp.ts";
import { PLAIN } from "./plain.ts";
import { PROXY_PAIR } from "./proxy-pair.ts";
import type { Scenario } from "./scenario.ts";
import { SLOW_ENDPOINT } from "./slow-endpoint.ts";
import { TLS } from "./tls.ts";
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
  MESH_PAIR,
  ...HTTP2,
  ...HTTP2_BODIES,
  ...TLS,
  ...HANDSHAKES,
];
