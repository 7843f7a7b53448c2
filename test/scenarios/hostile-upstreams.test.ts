// Services that misbehave: whatever one of them sends, no client gets an answer that is not its own.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, once, request } from "../support/client.ts";
import { text } from "../support/http-lite.ts";
import { startOrigin, startRawOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";

const POISON = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

describe("hostile upstreams", () => {
  const s = scenario(
    async () => ({
      // Answers each request with the bytes that its target stands for.
      raw: await startRawOrigin(async (wire) => {
        for (;;) {
          await wire.until("a request or the end", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
          if (wire.buffered === 0) return wire.endWrite();
          const [, target] = (await wire.expectUntil("\r\n\r\n")).split(" ");
          await wire.send(answers[Number(target!.slice(1))]!);
        }
      }),
      good: await startOrigin((x) => x.reply(200, `for ${x.request.target}`)),
    }),
    (o) => ({
      services: { raw: { endpoints: [o.raw.address] }, good: { endpoints: [o.good.address] } },
      limits: { headerBytesMax: 8192, headerCountMax: 50 },
    }),
  );

  const answers: string[] = [];
  const answerWith = (bytes: string, method = "GET"): string => request(method, `/${answers.push(bytes) - 1}`, { Host: "raw" });
  const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  it("never gives unsolicited bytes of an idle connection to the next request", async () => {
    const { raw } = s.origins;
    assert.equal(text(await once(s.port, answerWith(OK))), "ok");
    const idle = raw.connections.at(-1)!;
    await idle.send(POISON);
    await idle.expectClosed();
    assert.equal(text(await once(s.port, answerWith(OK))), "ok");
    assert.notEqual(raw.connections.at(-1), idle);
  });

  const trailing: [string, string, string][] = [
    ["a second response behind the first", OK + POISON, "GET"],
    ["more bytes than Content-Length", `${OK}!!!!`, "GET"],
    ["a body behind a response to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "HEAD"],
    ["a body behind 204", "HTTP/1.1 204 No Content\r\n\r\npoison", "GET"],
    ["a body behind 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison", "GET"],
    ["bytes behind the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\npoison", "GET"],
  ];
  for (const [what, bytes, method] of trailing) {
    it(`does not use a connection again that sent ${what}`, async () => {
      const { raw } = s.origins;
      const client = await connect(s.port);
      await client.send(answerWith(bytes, method));
      const first = await client.expectResponse({ isHead: method === "HEAD" });
      assert.notEqual(text(first), "poison");
      const used = raw.connections.at(-1)!;
      // On the same client connection: nothing of the poison may come before the next answer.
      await client.send(answerWith(OK));
      assert.equal(text(await client.expectResponse()), "ok");
      assert.notEqual(raw.connections.at(-1), used);
      assert.equal(client.buffered, 0);
      client.destroy();
    });
  }

  const refused: [string, string][] = [
    ["two Content-Lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
    ["a Content-Length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"],
    [
      "Content-Length with Transfer-Encoding (RFC 9112 section 6.1)",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\nok"],
    ["a field without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"],
    ["a space before the colon (RFC 9112 section 5.1)", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"],
    ["a folded field", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"],
    ["a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
    ["NUL in a value", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"],
    ["another version", "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["no HTTP", "220 mail.example ESMTP\r\n\r\n"],
    ["a head over the limit", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(9000)}\r\n\r\n`],
    ["too many fields", `HTTP/1.1 200 OK\r\n${"X: a\r\n".repeat(60)}\r\n`],
  ];
  for (const [what, bytes] of refused) {
    it(`answers 502 to a response with ${what}, and does not use that connection again`, async () => {
      const { raw } = s.origins;
      const client = await connect(s.port);
      await client.send(answerWith(bytes));
      const response = await client.expectResponse();
      assert.equal(response.status, 502);
      assert.equal(response.bodySize, 0);
      client.destroy();
      await raw.connections.at(-1)!.expectClosed();
    });
  }

  const broken: [string, string][] = [
    ["a chunk size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n"],
    ["a chunk longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n"],
    ["a trailer without a colon", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nnonsense\r\n\r\n"],
  ];
  for (const [what, bytes] of broken) {
    it(`breaks the answer off at ${what}, and it does not look complete`, async () => {
      const client = await connect(s.port);
      await client.send(answerWith(bytes));
      await assert.rejects(
        client.expectResponse().then((response) => {
          if (response.status === 502) throw new Error("502");
        }),
        /stream ended|ECONNRESET|502/,
      );
      client.destroy();
      await s.origins.raw.connections.at(-1)!.expectClosed();
    });
  }

  it("keeps every client's answers its own, with hostile services in between", async () => {
    const poisons = [...trailing.map(([, bytes]) => bytes), ...refused.map(([, bytes]) => bytes)];
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const wire = await connect(s.port);
        for (let round = 0; round < 20; round++) {
          void once(s.port, answerWith(poisons[(i + round) % poisons.length]!)).catch(() => undefined);
          await wire.send(request("GET", `/${i}/${round}`, { Host: "good" }));
          assert.equal(text(await wire.expectResponse()), `for /${i}/${round}`);
        }
        wire.destroy();
      }),
    );
  });
});
