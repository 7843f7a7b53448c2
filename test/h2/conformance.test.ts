// The conformance suite against Node's own HTTP/2: it passes what Node keeps and fails what Node does not, so the suite can fail.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer, createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, it } from "node:test";
import { testCertificate } from "../support/h2-server.ts";
import { runCase } from "./conformance/case.ts";
import { conformanceCases, testConformance } from "./conformance/suite.ts";

/** What Node 22 does not do as the RFC says. Elsewhere than in Weft's own tests such a reason would be no waiver. */
const NODE_DEPARTS = [
  { id: "http2/5.1/8", reason: "RFC 9113 5.1: DATA of a stream that was reset is passed over in silence" },
  { id: "http2/5.1/9", reason: "RFC 9113 5.1: HEADERS of a stream that was reset are passed over in silence" },
  { id: "http2/5.1/11", reason: "RFC 9113 5.1: DATA of a closed stream is passed over in silence" },
  { id: "http2/5.1/12", reason: "RFC 9113 5.1: HEADERS of a closed stream are passed over in silence" },
  { id: "http2/5.1.1/2", reason: "RFC 9113 5.1.1: a stream below the last one is passed over in silence" },
  { id: "http2/5.3.1/2", reason: "RFC 9113 5.3.2: PRIORITY is not read" },
  { id: "http2/6.3/1", reason: "RFC 9113 6.3: PRIORITY is not read, not even its stream" },
  { id: "http2/6.7/2", reason: "RFC 9113 6.7: a PING with ACK that nobody asked for ends the connection" },
  { id: "http2/6.9.1/3", reason: "RFC 9113 6.9.1: the connection ends where the stream should" },
  { id: "http2/8.1.2.6/1", reason: "RFC 9113 8.1.1: a body that is too long ends the connection with INTERNAL_ERROR" },
];

const SERVER = { settings: { maxConcurrentStreams: 100 } };
const BODY = "x".repeat(64);

let server: Http2Server;
let secureServer: Http2Server;

async function listen(created: Http2Server): Promise<Http2Server> {
  created.on("request", (request, response) => {
    request.on("end", () => response.end(BODY)).resume();
  });
  created.listen(0, "127.0.0.1");
  await once(created, "listening");
  return created;
}

function portOf(listening: Http2Server): number {
  return (listening.address() as AddressInfo).port;
}

before(async () => {
  server = await listen(createServer(SERVER));
  secureServer = await listen(createSecureServer({ ...testCertificate(), ...SERVER }));
});

after(() => {
  server.close();
  secureServer.close();
});

it("has the 146 cases of the public suite, each once: 44 generic, 94 http2, 8 hpack", () => {
  const ids = conformanceCases().map(({ id }) => id);
  assert.equal(new Set(ids).size, 146);
  const count = (group: string): number => ids.filter((id) => id.startsWith(`${group}/`)).length;
  assert.deepEqual([count("generic"), count("http2"), count("hpack")], [44, 94, 8]);
});

it("runs over TLS", async () => {
  const one = conformanceCases().find(({ id }) => id === "generic/4/3")!;
  await runCase(one, { port: portOf(secureServer), tls: true });
});

testConformance("node:http2", () => ({ port: portOf(server) }), NODE_DEPARTS);
