// The HTTP/2 conformance suite against servers that are known to be right: a case that fails here is wrong itself.
//
// HAProxy passes the public suite whole, nghttpd all but one. Beyond it HAProxy is lenient, and nghttpd hardly ever. Cases in which
// Debian's programs depart from the RFC say nothing about the case and are left out.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { Child, isListening, startOnFreePorts, untilReady } from "../../bench/support/child.ts";
import { furtherCases } from "../h2/conformance/further.ts";
import type { Case } from "../h2/conformance/case.ts";
import { conformanceCases, testConformance } from "../h2/conformance/suite.ts";
import { startH2Haproxy } from "./support/h2-haproxy.ts";
import type { Service } from "./support/services.ts";

const BODY = "x".repeat(64);

/** What HAProxy 2.6 does instead. */
const HAPROXY_DEPARTS: Readonly<Record<string, string>> = {
  "more/6.1/1": "2.6 takes a padded DATA frame that it reads in two pieces for an error",
  "more/8.1.1/1": "a Content-Length without a body goes on as it is",
  "more/8.1/1": "resets for bad trailers with INTERNAL_ERROR",
  "more/8.1/2": "resets for bad trailers with INTERNAL_ERROR",
  "more/8.1/3": "resets for bad trailers with INTERNAL_ERROR",
  "more/8.2.1/4": "passes white space around values on",
  "more/8.2.1/5": "passes white space around values on",
  "more/8.2.1/10": "takes an empty name for a COMPRESSION_ERROR",
  "more/8.3.1/5": "passes userinfo on",
  "more/8.3.1/6": "prefers :authority in silence",
  "more/8.3.1/7": "prefers the first Host in silence",
};

/** What nghttpd 1.52 does instead. */
const NGHTTPD_DEPARTS: Readonly<Record<string, string>> = {
  "http2/5.1.1/2": "passes over a stream below the last one",
  "more/8.3.1/5": "takes userinfo",
  "more/8.3.1/6": "prefers :authority in silence",
};

let origin: Server;
let haproxy: Service;
let nghttpd: Service;

function startNghttpd(): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), "weft-nghttpd-"));
  writeFileSync(join(folder, "index.html"), BODY);
  return startOnFreePorts(1, async ([port]) => {
    const child = new Child("nghttpd", "nghttpd", ["--no-tls", "--address=127.0.0.1", "-d", folder, String(port)]);
    await untilReady(child, () => isListening(port!));
    return {
      port: port!,
      stop: async () => {
        await child.stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  });
}

before(async () => {
  origin = createServer((request, response) => {
    request.on("end", () => response.end(BODY)).resume();
  });
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  haproxy = await startH2Haproxy([(origin.address() as AddressInfo).port], "http/1");
  nghttpd = await startNghttpd();
});

after(async () => {
  await haproxy?.stop();
  await nghttpd?.stop();
  origin?.close();
});

function kept(all: readonly Case[], departs: Readonly<Record<string, string>>): Case[] {
  return all.filter(({ id }) => !(id in departs));
}

testConformance("HAProxy", () => ({ port: haproxy.port }));
testConformance("HAProxy, further cases", () => ({ port: haproxy.port }), [], kept(furtherCases(), HAPROXY_DEPARTS));
testConformance("nghttpd", () => ({ port: nghttpd.port }), [], kept(conformanceCases(), NGHTTPD_DEPARTS));
testConformance("nghttpd, further cases", () => ({ port: nghttpd.port }), [], kept(furtherCases(), NGHTTPD_DEPARTS));
