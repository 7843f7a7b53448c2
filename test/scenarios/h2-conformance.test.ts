// RFC 9113 and RFC 7541, case by case, against Weft in front of an HTTP/1 and of an HTTP/2 origin; and Weft as the client of a server
// that answers well and badly.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { after, before } from "node:test";
import { askThrough, type Asker, testClient } from "../h2/conformance/client-suite.ts";
import { furtherCases } from "../h2/conformance/further.ts";
import { testConformance } from "../h2/conformance/suite.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { ProxyProcess } from "../support/proxy-process.ts";
import { stopProxy } from "../support/scenario.ts";

const BODY = "x".repeat(64);

let toHttp1: ProxyProcess;
let toHttp2: ProxyProcess;
let h2: H2cOrigin;
const h1 = createServer((request, response) => {
  request.resume().once("end", () => response.end(BODY));
});

before(async () => {
  h1.listen(0, "127.0.0.1");
  await once(h1, "listening");
  h2 = await H2cOrigin.start("h2", (stream) => {
    stream.resume().once("end", () => {
      if (stream.destroyed) return;
      stream.respond({ ":status": 200 });
      stream.end(BODY);
    });
  });
  const address = `127.0.0.1:${(h1.address() as AddressInfo).port}`;
  toHttp1 = await ProxyProcess.start({ services: { web: { endpoints: [address], protocol: "http1" } } });
  toHttp2 = await ProxyProcess.start({ services: { web: { endpoints: [h2.address] } } });
});

after(async () => {
  await stopProxy(toHttp1);
  await stopProxy(toHttp2);
  await h2.stop();
  h1.close();
});

testConformance("Weft before HTTP/1", () => ({ port: toHttp1.port }));
testConformance("Weft before HTTP/2", () => ({ port: toHttp2.port }));
testConformance("Weft before HTTP/1, further cases", () => ({ port: toHttp1.port }), [], furtherCases());
testConformance("Weft before HTTP/2, further cases", () => ({ port: toHttp2.port }), [], furtherCases());

testClient("Weft", async (serverPort): Promise<Asker> => {
  const proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${serverPort}`], protocol: "http2" } } });
  return { ask: () => askThrough(proxy.port), stop: () => stopProxy(proxy) };
});
