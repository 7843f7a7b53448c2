// Starts the example: web and cart, a sidecar beside each. node examples/proxy-to-proxy/start.mjs [--seconds N]

import { service, start, weft } from "../support/start.mjs";

const [WEB, CART] = ["127.0.0.10", "127.0.0.11"];
const ports = [4140, 4143, 4191, 8080];

await start({
  folder: import.meta.dirname,
  places: [WEB, CART].flatMap((host) => ports.map((port) => `${host}:${port}`)),
  programs: [
    weft("run", "--config", "cart.yaml", "--http-proxy", "--", ...service("cart", `${CART}:8080`)),
    weft("run", "--config", "web.yaml", "--http-proxy", "--", ...service("web", `${WEB}:8080`, "http://cart/")),
  ],
  tries: [
    [`curl http://${WEB}:4143/`, "web's sidecar, web, web's sidecar again, cart's sidecar, cart"],
    [`curl -s http://${WEB}:4191/metrics | grep '^request_total'`, "both directions"],
    [`curl -s http://${CART}:4191/metrics | grep '^request_total'`, "the other end"],
  ],
});
