// Starts the example: cart with its sidecar, and web, which calls it without one. node examples/proxy-to-service/start.mjs [--seconds N]

import { service, start, weft } from "../support/start.mjs";

await start({
  folder: import.meta.dirname,
  places: ["127.0.0.9:9101", "127.0.0.8:4143", "127.0.0.8:9100", "127.0.0.8:4191", "127.0.0.9:8080", "127.0.0.9:8081"],
  programs: [
    service("cart's admin page", "127.0.0.9:9101"),
    weft("run", "--config", "cart.yaml", "--", ...service("cart", "127.0.0.9:8080")),
    service("web", "127.0.0.9:8081", "http://127.0.0.8:4143/"),
  ],
  tries: [
    ["curl http://127.0.0.9:8081/", "web, which asks cart where cart is known: at its sidecar"],
    ["curl http://127.0.0.8:9100/", "another port of cart"],
    ["curl -s http://127.0.0.8:4191/metrics | grep '^response_latency_ms_bucket'", "what cart was asked, and how long it took"],
  ],
});
