// The HTTP/2 conformance suite against HAProxy, which passes the public one whole: a case that fails here is wrong itself.

import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, before } from "node:test";
import { testConformance } from "../h2/conformance/suite.ts";
import { startH2Haproxy } from "./support/h2-haproxy.ts";
import type { Service } from "./support/services.ts";

let origin: Server;
let proxy: Service;

before(async () => {
  origin = createServer((request, response) => {
    request.resume();
    response.end("x".repeat(64));
  });
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  proxy = await startH2Haproxy([(origin.address() as AddressInfo).port], "http/1");
});

after(async () => {
  await proxy?.stop();
  origin?.close();
});

testConformance("HAProxy", () => ({ port: proxy.port }));
