// Starts the example: four services and the one proxy of the host. node examples/per-host/start.mjs [--seconds N]

import { service, start, weft } from "../support/start.mjs";

const HOST = "127.0.0.4";
const PROXY = `${HOST}:4140`;

await start({
  folder: import.meta.dirname,
  places: [9001, 9002, 9003, 9004, 4140, 4191, 5432].map((port) => `${HOST}:${port}`),
  programs: [
    service("web-1", `${HOST}:9001`),
    service("web-2", `${HOST}:9002`),
    service("cart", `${HOST}:9003`),
    service("db", `${HOST}:9004`, "--tcp"),
    weft("proxy", "--config", "weft.yaml"),
  ],
  tries: [
    [`curl -H 'Host: web' http://${PROXY}/`, "web-1 or web-2"],
    [`curl -x http://${PROXY} http://cart.shop/`, "the proxy as http_proxy"],
    [`curl http://${PROXY}/`, "names nobody: web, the default"],
    [`nc ${HOST} 5432`, "db, which is no HTTP"],
    [`curl -s http://${HOST}:4191/metrics | grep '^request_total'`, "one place for all of it"],
  ],
});
