// What a TLS handshake costs: a new connection for every request, with a full handshake each, or with a session resumed by a ticket.
// One certificate (ECDSA P-256), TLS 1.3; the request and its answer are in the figure, as they are in everybody's.

import { CLOSED_LOOP, type Load, ORDINARY, type Scenario } from "./scenario.ts";

/** One scenario each: bars and figures of one do not judge the other. */
function scenario(name: string, what: string, resumes: boolean): Scenario {
  const load: Load = { ...CLOSED_LOOP, tools: ["openssl"], what, connections: 8, keepAlive: false, resumes };
  return {
    ...ORDINARY,
    name,
    what: `${what}, 8 at a time`,
    needs: ["http", "tls"],
    protocols: { downstream: "http1", upstream: "http1", tls: true },
    origin: "nginx",
    // Some 2,000 a second at best, on one core: more would be minutes.
    warmRequests: 5_000,
    loads: [load],
    bars: [
      { measure: "cpu", load: load.id, against: "nginx", bar: null, goal: 2 },
      { measure: "cpu", load: load.id, against: "haproxy", bar: null, goal: 2 },
    ],
  };
}

export const HANDSHAKES: readonly Scenario[] = [
  scenario("tls-handshakes", "a new TLS 1.3 connection per request, a full handshake each", false),
  scenario("tls-resumptions", "a new TLS 1.3 connection per request, its session resumed", true),
];
