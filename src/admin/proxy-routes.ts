// The admin routes of a proxy, by Linkerd's table (linkerd.md 1.2), plus /stats.json and /config.json.
//
//   /live /ready /metrics        anybody, by any name: probes and scrapers
//   / /stats.json                anybody, by address
//   /config.json /env.json /proxy-log-level /shutdown    clients on this machine only
//
// Where we differ from Linkerd: /env.json is for this machine only and hides what looks like a secret, because the
// environment of a process is nobody else's business. /shutdown exists when `shutdownEndpoint` says so (the default is
// the configuration's) and needs a POST from this machine without a foreign Origin.

import type { AdminHandler, AdminRequest, AdminResponse, AdminServer } from "./admin-server.ts";
import { textResponse } from "./dispatcher.ts";
import { environmentResponse } from "./environment.ts";
import { acceptsGzip, gzipped, jsonSlices, paced } from "./streams.ts";

/** What the routes need of a proxy. The supervisor implements it. */
export interface AdminSource {
  /** The text of /metrics in slices of at most about a millisecond of work; the routes let events pass between them. */
  metrics(): Iterable<string> | Promise<Iterable<string>>;
  /** Content-Type of that text. */
  readonly metricsContentType: string;
  /** True from the first moment that traffic can be served; never false again. */
  isReady(): boolean;
  /** /stats.json: plain data. Long arrays belong at the top level: they are rendered in slices. */
  stats(): Promise<object>;
  /** /config.json: the running snapshot. */
  config(): object;
  /** Starts the drain and returns at once. Throws if that is not possible. */
  shutdown(): void;
  /** Whether POST /shutdown exists; asked at each request, so that a reload counts. */
  readonly shutdownEndpoint: boolean;
  logLevel(): string;
  /** False for a level that does not exist. */
  setLogLevel(level: string): boolean;
  /** The environment that the process was started with. */
  environment(): Readonly<Record<string, string | undefined>>;
}

const JSON_TYPE = { "content-type": "application/json" };

/** For who comes by browser or curl without knowing any of them. */
const INDEX = [
  "Weft, admin port of a proxy",
  "",
  "GET  /ready            200 when it serves, else 503",
  "GET  /live             200",
  "GET  /metrics          for Prometheus",
  "GET  /stats.json       percentiles, endpoints, pools, workers",
  "",
  "From this machine only:",
  "GET  /config.json      the running configuration",
  "GET  /env.json         its environment",
  "GET  /proxy-log-level  PUT changes it",
  "POST /shutdown         drains, then ends",
  "",
].join("\n");

/** Adds the routes. Everything else is 404 with an empty body. */
export function proxyRoutes(server: AdminServer, source: AdminSource): void {
  const open = { openToNames: true };
  const local = { loopbackOnly: true };
  server.route("GET", "/", () => textResponse(200, INDEX));
  server.route("*", "/live", () => textResponse(200, "live\n"), open);
  server.route("*", "/ready", () => (source.isReady() ? textResponse(200, "ready\n") : textResponse(503, "not ready\n")), open);
  server.route("*", "/metrics", (request) => metricsResponse(source, request), open);
  server.route("GET", "/stats.json", async () => ({ status: 200, headers: JSON_TYPE, body: paced(jsonSlices(await source.stats())) }));
  server.route("GET", "/config.json", () => ({ status: 200, headers: JSON_TYPE, body: paced(jsonSlices(source.config())) }), local);
  server.route("GET", "/env.json", (request) => environmentResponse(request, source.environment()), local);
  server.route("GET", "/proxy-log-level", () => textResponse(200, `${source.logLevel()}\n`), local);
  server.route("PUT", "/proxy-log-level", (request) => setLogLevel(source, request), local);
  server.route("POST", "/shutdown", shutdownHandler(source), local);
}

async function metricsResponse(source: AdminSource, request: AdminRequest): Promise<AdminResponse> {
  const text = paced(await source.metrics());
  const headers = { "content-type": source.metricsContentType, vary: "accept-encoding" };
  if (!acceptsGzip(request.headers["accept-encoding"])) return { status: 200, headers, body: text };
  return { status: 200, headers: { ...headers, "content-encoding": "gzip" }, body: gzipped(text) };
}

function setLogLevel(source: AdminSource, request: AdminRequest): AdminResponse {
  const level = request.body.trim();
  if (source.setLogLevel(level)) return { status: 204, body: "" };
  return textResponse(400, `unknown log level ${JSON.stringify(level.slice(0, 64))}\n`);
}

function shutdownHandler(source: AdminSource): AdminHandler {
  return () => {
    if (!source.shutdownEndpoint) return textResponse(404, "shutdown endpoint is not enabled\n");
    source.shutdown();
    return textResponse(200, "shutdown\n");
  };
}
