// A FIN that comes together with the last bytes of what the client has to say, while there is no upstream connection yet: the kept
// bytes are used up first, then the end counts (RFC 9112 section 9.6).

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect } from "../support/client.ts";
import { startRawOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";

const POST = "POST /a HTTP/1.1\r\nHost: web\r\n";

describe("a half-close right behind the request", () => {
  const s = scenario(
    async () => ({
      // Closes after each answer, so that every request finds no pooled connection.
      web: await startRawOrigin(async (wire) => {
        let text = "";
        while (!text.includes("hello") && !wire.isEnded && !wire.isClosed) {
          await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
          text += wire.take().toString("latin1");
        }
        if (text.includes("hello")) await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        wire.endWrite();
      }),
    }),
    (o) => ({ services: { web: { endpoints: [o.web.address] } } }),
  );

  const bodies: [string, string][] = [
    ["a body with a length", `${POST}Content-Length: 5\r\n\r\nhello`],
    ["a chunked body", `${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
    ["a body and the beginning of another head", `${POST}Content-Length: 5\r\n\r\nhelloGET / HT`],
  ];
  for (const [what, bytes] of bodies) {
    it(`answers ${what}`, async () => {
      const client = await connect(s.port);
      await client.send(bytes);
      client.endWrite();
      assert.equal((await client.expectResponse()).status, 200);
      await client.expectEnd();
    });
  }

  it("ends a request that cannot become complete", async () => {
    const client = await connect(s.port);
    await client.send(`${POST}Content-Length: 9\r\n\r\nhell`);
    client.endWrite();
    await client.finished(5_000);
    assert.equal(client.bytesReceived, 0);
  });

  it("refuses a malformed body all the same", async () => {
    const client = await connect(s.port);
    await client.send(`${POST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`);
    client.endWrite();
    assert.equal((await client.expectResponse()).status, 400);
    await client.expectEnd();
  });
});
