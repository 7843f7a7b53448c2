// 1 MB over HTTP/2 on both sides: here DATA frames and windows cost, and one stream must not starve the others.

import { CLOSED_LOOP, type Load, ORDINARY, type Scenario, WARM_BODIES } from "./scenario.ts";

const MIB = 1024 * 1024;
/** As many bodies under way as with HTTP/1, on fewer connections. */
const CONNECTIONS = 4;
const STREAMS = 4;
/** 3 GB: some three seconds. */
const REQUESTS = 3_000;

function scenario(name: string, what: string, load: Pick<Load, "what" | "path" | "requestBytes" | "responseBytes">): Scenario {
  return {
    ...ORDINARY,
    name,
    what,
    needs: ["http2", "to-http2"],
    protocols: { downstream: "http2", upstream: "http2", tls: false },
    origin: "nghttpd",
    warmRequests: WARM_BODIES,
    reference: "haproxy",
    loads: [{ ...CLOSED_LOOP, ...load, tools: ["h2load"], connections: CONNECTIONS, streams: STREAMS, requests: REQUESTS }],
    // HAProxy is not best at it: it costs three times what nginx does.
    bars: [
      { measure: "cpu", load: CLOSED_LOOP.id, against: "haproxy", bar: null, goal: 0.75 },
      { measure: "cpu", load: CLOSED_LOOP.id, against: "nginx", bar: null, goal: 1 },
    ],
  };
}

export const HTTP2_BODIES: readonly Scenario[] = [
  scenario("http2-download-1m", "1 MB answers over HTTP/2 without TLS on both sides", {
    what: "downloads, as fast as they come",
    path: "/1m",
    requestBytes: 0,
    responseBytes: MIB,
  }),
  scenario("http2-upload-1m", "1 MB requests over HTTP/2 without TLS on both sides", {
    what: "uploads, as fast as they are taken",
    path: "/upload",
    requestBytes: MIB,
    responseBytes: 8,
  }),
];
