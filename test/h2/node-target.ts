// Node's own HTTP/2 server as a process of its own, for attacks to strike: a server that shares the attacker's thread is never behind.
// Started by fork; says its port, and ends with its parent.

import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";

const SMALL_BYTES = 64;

const server = createServer((request, response) => {
  request.resume();
  request.on("error", () => {});
  response.stream.on("error", () => {});
  response.end("x".repeat(SMALL_BYTES));
});
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.once("disconnect", () => process.exit());
