// Clients' TLS ends at the proxy: HTTP/1 over connections that stay open, where each answer is a record of its own, and HTTP/2, where one
// record carries many.

import { bothSidesBars, streamsLoad } from "./http2.ts";
import { CLOSED_LOOP, ORDINARY, type Scenario } from "./scenario.ts";

const STREAMS_LOAD = streamsLoad(8, 16);

export const TLS: readonly Scenario[] = [
  {
    ...ORDINARY,
    name: "tls",
    what: "small answers over TLS 1.3 and HTTP/1.1, 64 keep-alive connections",
    needs: ["http", "tls"],
    protocols: { downstream: "http1", upstream: "http1", tls: true },
    origin: "nginx",
    loads: [{ ...CLOSED_LOOP, tools: ["wrk", "h2load"] }],
    bars: [{ measure: "cpu", load: CLOSED_LOOP.id, against: "nginx", bar: 1.4, goal: 1.2 }],
  },
  {
    ...ORDINARY,
    name: "tls-http2",
    what: "small answers over TLS 1.3 and HTTP/2, to HTTP/2 without TLS",
    needs: ["http2", "to-http2", "tls"],
    protocols: { downstream: "http2", upstream: "http2", tls: true },
    origin: "nghttpd",
    reference: "haproxy",
    loads: [STREAMS_LOAD],
    bars: bothSidesBars(STREAMS_LOAD.id),
  },
];
