// l5d-client-id says who the client is, and only the proxy may say it: from a client the header never arrives, however it is written.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, request } from "../support/client.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { H2Client } from "../support/h2-client.ts";
import { text } from "../support/http-lite.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";

const FORGED = "admin.prod.serviceaccount.identity.weft.cluster.local";

describe("a forged l5d-client-id", () => {
  const s = scenario(
    async () => ({
      h1: await startApp({ name: "web" }),
      h2: await H2cOrigin.start("h2", (stream, headers) => {
        stream.respond({ ":status": 200 });
        stream.end(JSON.stringify(headers));
      }),
    }),
    (o) => ({
      services: { web: { endpoints: [o.h1.address] }, web2: { endpoints: [o.h2.address], protocol: "http2" } },
      inbound: { target: o.h1.address, ports: { toH2: { target: o.h2.address, protocol: "http2" } } },
    }),
  );

  /** What the service saw, in lower case. */
  async function seenByH1(port: number, head: string): Promise<string> {
    const wire = await connect(port);
    await wire.send(head);
    const answer = await wire.expectResponse();
    wire.destroy();
    assert.equal(answer.status, 200);
    return text(answer).toLowerCase();
  }

  const spellings = ["l5d-client-id", "L5D-Client-Id", "L5D-CLIENT-ID", "l5D-cLIENT-iD", "l5d_client_id", "L5d-Client_Id"];
  for (const listener of ["inbound", "outbound"]) {
    const port = (): number => (listener === "inbound" ? s.proxy.listener("inbound") : s.port);

    it(`is deleted from HTTP/1 in every spelling: ${listener}`, async () => {
      for (const name of spellings) {
        const seen = await seenByH1(port(), request("GET", "/echo", { [name]: FORGED, "X-Beside": "1" }));
        assert.match(seen, /x-beside: 1/, name);
        assert.doesNotMatch(seen, /client.id|admin\.prod/, name);
      }
    });

    it(`is deleted as often as it is there, wherever it stands: ${listener}`, async () => {
      const fields = spellings.flatMap((name, i) => [`${name}: ${FORGED}`, `X-Beside-${i}: 1`, `${name}:`, `${name}:\t${FORGED} `]);
      const seen = await seenByH1(port(), `GET /echo HTTP/1.1\r\n${fields.join("\r\n")}\r\nHost: web\r\nl5d-client-id: ${FORGED}\r\n\r\n`);
      assert.doesNotMatch(seen, /client.id|admin\.prod/);
      for (let i = 0; i < spellings.length; i++) assert.match(seen, new RegExp(`x-beside-${i}: 1`));
    });

    it(`is deleted when Connection names it: ${listener}`, async () => {
      const seen = await seenByH1(port(), request("GET", "/echo", { Connection: "l5d-client-id", "l5d-client-id": FORGED }));
      assert.doesNotMatch(seen, /client.id|admin\.prod/);
    });

    it(`is deleted from HTTP/2, also where it is there twice: ${listener}`, async () => {
      const client = new H2Client(port());
      for (const fields of [{ "l5d-client-id": FORGED }, { "l5d-client-id": [FORGED, "b"] }, { l5d_client_id: FORGED }]) {
        const { status, body } = await client.get("/echo", { ...fields, "x-beside": "1" });
        assert.equal(status, 200);
        assert.match(body.toString().toLowerCase(), /x-beside: 1/);
        assert.doesNotMatch(body.toString(), /client.id|admin\.prod/i);
      }
      client.close();
    });

    it(`is deleted on the way to an HTTP/2 service: ${listener}`, async () => {
      const target = listener === "inbound" ? s.proxy.listener("toH2") : s.port;
      const client = new H2Client(target, "web2");
      for (const fields of [{ "l5d-client-id": FORGED }, { "l5d-client-id": [FORGED, "b"] }, { l5d_client_id: FORGED }]) {
        const { body } = await client.get("/", { ...fields, "x-beside": "1" });
        const seen = JSON.parse(body.toString()) as Record<string, string>;
        assert.equal(seen["x-beside"], "1");
        assert.deepEqual(
          Object.keys(seen).filter((name) => /client.id/.test(name)),
          [],
        );
      }
      client.close();
    });
  }

  it("is deleted from trailers", async () => {
    const body = "5\r\nhello\r\n0\r\nL5D-Client-Id: forged\r\nX-Sum: 1\r\n\r\n";
    const seen = await seenByH1(
      s.proxy.listener("inbound"),
      `POST /hash HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    );
    assert.match(seen, /x-sum=1/);
    assert.doesNotMatch(seen, /client.id|forged/);
  });
});
