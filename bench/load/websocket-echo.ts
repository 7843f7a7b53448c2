// WebSockets that stay open and carry small messages, each of which is echoed: after the upgrade a proxy forwards bytes.

import { CLOSED_LOOP, type Load, OPEN_LOOP, ORDINARY, type Scenario } from "./scenario.ts";
import { MESSAGE_BYTES } from "./websocket-connection.ts";

const MESSAGE: Pick<Load, "path" | "protocol" | "requestBytes" | "responseBytes"> = {
  path: "/echo",
  protocol: "websocket",
  requestBytes: MESSAGE_BYTES,
  responseBytes: MESSAGE_BYTES,
};

export const WEBSOCKET_ECHO: Scenario = {
  ...ORDINARY,
  name: "websocket-echo",
  what: `${MESSAGE_BYTES}-byte WebSocket messages and their echoes`,
  needs: ["http", "websocket"],
  origin: "uws",
  loads: [
    { ...CLOSED_LOOP, ...MESSAGE, tools: ["open-loop"], what: "echoes, as fast as they come" },
    { ...OPEN_LOOP, ...MESSAGE, what: "echoes, at a fixed rate with jitter" },
  ],
};
