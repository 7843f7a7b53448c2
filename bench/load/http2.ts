// Small answers over HTTP/2 with prior knowledge: to HTTP/2 upstreams, to HTTP/1 upstreams, and from HTTP/1 clients to HTTP/2 upstreams.
//
// How many requests share a connection decides what one costs, so there are three shapes: few connections with many streams, as between
// proxies; very few; and many with one stream each, where nothing can be shared. The bar is about the first.

import { type Bar, CLOSED_LOOP, type Load, ORDINARY, type Scenario } from "./scenario.ts";

/** About three seconds of the fastest proxies on two cores. */
const REQUESTS = 100_000;

export function streamsLoad(connections: number, streams: number): Load {
  return {
    ...CLOSED_LOOP,
    id: `${connections}x${streams}`,
    tools: ["h2load"],
    what: "as fast as answers come",
    connections,
    streams,
    requests: REQUESTS,
  };
}

const EIGHT_BY_SIXTEEN = streamsLoad(8, 16);
const SHAPES = [EIGHT_BY_SIXTEEN, streamsLoad(2, 32), streamsLoad(64, 1)];

/** Of HTTP/2 on both sides, with and without TLS. */
export function bothSidesBars(load: string): readonly Bar[] {
  return [
    { measure: "cpu", load, against: "haproxy", bar: 1.5, goal: 1 },
    { measure: "cpu", load, against: "node-http2", bar: 0.333, goal: 0.333 },
  ];
}

/** Nothing is promised yet. */
function goals(loads: readonly Load[]): readonly Bar[] {
  return loads.map((load) => ({ measure: "cpu", load: load.id, against: "haproxy", bar: null, goal: 1 }));
}

export const HTTP2: readonly Scenario[] = [
  {
    ...ORDINARY,
    name: "http2",
    what: "small answers, HTTP/2 without TLS on both sides",
    needs: ["http2", "to-http2"],
    protocols: { downstream: "http2", upstream: "http2", tls: false },
    origin: "nghttpd",
    reference: "haproxy",
    loads: SHAPES,
    bars: [...bothSidesBars(EIGHT_BY_SIXTEEN.id), ...goals(SHAPES.slice(1))],
  },
  {
    ...ORDINARY,
    name: "http2-to-http1",
    what: "small answers, HTTP/2 clients and an HTTP/1 origin, no TLS",
    needs: ["http2"],
    protocols: { downstream: "http2", upstream: "http1", tls: false },
    origin: "nginx",
    reference: "haproxy",
    loads: SHAPES,
    bars: goals(SHAPES),
  },
  {
    ...ORDINARY,
    name: "http1-to-http2",
    what: "small answers, HTTP/1 clients over 64 keep-alive connections and an HTTP/2 origin, no TLS",
    needs: ["http", "to-http2"],
    protocols: { downstream: "http1", upstream: "http2", tls: false },
    origin: "nginx",
    reference: "haproxy",
    loads: [CLOSED_LOOP],
    bars: goals([CLOSED_LOOP]),
  },
];
