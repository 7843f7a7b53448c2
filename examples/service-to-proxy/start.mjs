// Starts the example: web with its sidecar, two instances of cart without. node examples/service-to-proxy/start.mjs [--seconds N]

import { service, start, weft } from "../support/start.mjs";

await start({
  folder: import.meta.dirname,
  places: ["127.0.0.6:8080", "127.0.0.7:8080", "127.0.0.5:4140", "127.0.0.5:4191", "127.0.0.5:8080"],
  programs: [
    service("cart-1", "127.0.0.6:8080"),
    service("cart-2", "127.0.0.7:8080"),
    weft("run", "--config", "web.yaml", "--http-proxy", "--", ...service("web", "127.0.0.5:8080", "http://cart/")),
  ],
  tries: [
    ["curl http://127.0.0.5:8080/", "straight to web, which asks cart through its sidecar"],
    ["curl -X POST http://127.0.0.6:8080/stop", "one cart less; web does not notice"],
    ["curl -s http://127.0.0.5:4191/metrics | grep '^request_total'", "what web asked for, nothing of what web was asked"],
  ],
});
