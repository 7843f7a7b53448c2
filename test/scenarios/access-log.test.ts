// The access log of a running proxy: each line is what docs/access-log.md says, whatever the client sent.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { once, request } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { startOrigin } from "../support/origin.ts";
import { closedPort } from "../support/ports.ts";
import type { ProxyProcess } from "../support/proxy-process.ts";
import { scenario } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

const DOCUMENT = readFileSync(new URL("../../docs/access-log.md", import.meta.url), "utf8");
const FIELDS = [...DOCUMENT.matchAll(/^\| `([a-z_.]+)` \|/gm)].map(([, field]) => field!);

/** The line about a request, found by a part of its target. */
function lineAbout(proxy: ProxyProcess, target: string): Promise<string> {
  return waitUntil(`a line about ${target}`, () =>
    proxy.log.split("\n").find((line) => line.includes(target) && !line.includes('"level"')),
  );
}

describe("accessLog: json", () => {
  let dead = "";
  const s = scenario(
    async () => {
      dead = `127.0.0.1:${await closedPort()}`;
      return { web: await startOrigin((x) => x.reply(200, "hello")) };
    },
    (o) => ({ accessLog: "json", services: { web: { endpoints: [o.web.address] }, dead: { endpoints: [dead] } } }),
  );

  it("says of an answered request what the document lists, and no error", async () => {
    await once(s.port, request("GET", "/fine?a=1", { "User-Agent": 'curl "8"' }));
    const entry = JSON.parse(await lineAbout(s.proxy, "/fine")) as Record<string, unknown>;
    const { timestamp, processing_ns: nanoseconds, ...rest } = entry;
    assert.deepEqual(rest, {
      "client.addr": "127.0.0.1",
      method: "GET",
      uri: "/fine?a=1",
      host: "web",
      version: "HTTP/1.1",
      status: 200,
      response_bytes: 5,
      service: "default/web",
      endpoint: s.origins.web.address,
      user_agent: 'curl "8"',
    });
    assert.match(String(timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Number.isInteger(nanoseconds) && Number(nanoseconds) > 0);
    assert.deepEqual([...Object.keys(entry), "error", "client.id"].sort(), [...FIELDS].sort());
  });

  it("says of each request of an HTTP/2 connection the same", async () => {
    const client = new H2Client(s.port);
    await Promise.all([client.get("/two?a"), client.get("/two?b")]);
    for (const target of ["/two?a", "/two?b"]) {
      const entry = JSON.parse(await lineAbout(s.proxy, target)) as Record<string, unknown>;
      assert.deepEqual([entry["version"], entry["uri"], entry["host"], entry["status"]], ["HTTP/2.0", target, "web", 200]);
    }
    client.close();
  });

  it("names the code of an answer of Weft's own", async () => {
    await once(s.port, request("GET", "/gone", { Host: "dead" }));
    const entry = JSON.parse(await lineAbout(s.proxy, "/gone")) as Record<string, unknown>;
    assert.equal(entry["error"], "WEFT_CONNECT_FAILED");
    assert.equal(entry["status"], 502);
    assert.equal(entry["endpoint"], dead);
    assert.deepEqual([...Object.keys(entry), "client.id"].sort(), [...FIELDS].sort());
  });
});

describe("accessLog: apache", () => {
  const s = scenario(
    async () => ({ web: await startOrigin((x) => x.reply(200, "hello")) }),
    (o) => ({ accessLog: "apache", services: { web: { endpoints: [o.web.address] } } }),
  );

  it("is the combined format, and what a client sent ends no quotes", async () => {
    await once(s.port, request("GET", "/page", { Referer: "http://a/", "User-Agent": 'a "b" \\ \xe9' }));
    assert.match(
      await lineAbout(s.proxy, "/page"),
      /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/page HTTP\/1\.1" 200 5 "http:\/\/a\/" "a \\"b\\" \\\\ \\xe9"$/,
    );
  });
});
