import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAb, parseWrk } from "../../bench/load/tools.ts";

const WRK = `Running 2s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  83347 requests in 2.00s, 38.55MB read
`;

test("wrk's output without complaints is a count without errors", () => {
  const { requests, errors } = parseWrk(WRK);
  assert.deepEqual({ requests, errors }, { requests: 83347, errors: 0 });
});

test("wrk's socket errors of every kind and its bad statuses add up", () => {
  const output = `${WRK}  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 50\n`;
  assert.equal(parseWrk(output).errors, 60);
});

const AB = `Complete requests:      10000
Failed requests:        3
   (Connect: 0, Receive: 0, Length: 3, Exceptions: 0)
Non-2xx responses:      4
`;

test("ab's failed requests and bad statuses add up", () => {
  const { requests, errors } = parseAb(AB);
  assert.deepEqual({ requests, errors }, { requests: 10000, errors: 7 });
});

test("output that is no report counts as no request at all", () => {
  assert.equal(parseAb("apr_socket_recv: Connection refused (111)").requests, 0);
  assert.equal(parseWrk("unable to connect").requests, 0);
});
