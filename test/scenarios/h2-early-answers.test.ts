// Answers that come before the request is complete (RFC 9113 section 8.1): the client gets them whole, may end its request, and is told to
// stop only when it goes on.
//
// The story: the reset went out in one write with the answer. That is what the RFC describes, and curl 7.88 and Node 22 lost the answer.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H2Client } from "../support/h2-client.ts";
import { data, ErrorCode, FrameType, headers } from "../support/h2-frames.ts";
import { block, type Fields } from "../support/h2-hpack.ts";
import { H2Peer } from "../support/h2-peer.ts";
import { H2cOrigin } from "../support/h2c-origin.ts";
import { startOrigin } from "../support/origin.ts";
import { scenario } from "../support/scenario.ts";

const ROUNDS = 40;
const CLIENTS = 8;
/** More than a stream's window: at first the client cannot send all of it. */
const UPLOAD = Buffer.alloc(300_000, "u");

const POST: Fields = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "web"],
];

for (const protocol of ["http1", "http2"] as const) {
  describe(`early answers, origin ${protocol}`, () => {
    const s = scenario(
      async () => ({
        web:
          protocol === "http1"
            ? await startOrigin((exchange) => exchange.reply(200, "early"))
            : await H2cOrigin.start("early", (stream) => {
                stream.resume();
                stream.respond({ ":status": 200 });
                stream.end("early");
              }),
      }),
      ({ web }) => ({ services: { web: { endpoints: [web.address], protocol } } }),
    );

    it(`gives ${ROUNDS * CLIENTS} uploads their answers`, async () => {
      const client = new H2Client(s.port);
      await Promise.all(
        Array.from({ length: CLIENTS }, async () => {
          for (let round = 0; round < ROUNDS; round++) {
            const { status, body } = await client.request({ ":path": "/", ":method": "POST" }, UPLOAD);
            assert.deepEqual([status, body.toString()], [200, "early"]);
          }
        }),
      );
      client.close();
    });

    it("resets nothing when the client ends its request by itself", async () => {
      const peer = await H2Peer.open({ port: s.port });
      for (const stream of [1, 3, 5]) {
        peer.send(headers(stream, block(POST)), data(stream, "a"));
        await peer.expect("the end of the answer", ({ streamId, flags }) => streamId === stream && (flags & 1) !== 0);
        peer.send(data(stream, "b", { endStream: true }));
      }
      // Behind the answer of a fourth one every frame of the first three has come.
      peer.send(headers(7, block(POST), { endStream: true }));
      await peer.expect("the end of the answer", ({ streamId, flags }) => streamId === 7 && (flags & 1) !== 0);
      assert.equal(peer.count(FrameType.RST_STREAM), 0);
      peer.destroy();
    });

    it("tells a client that goes on to stop, with NO_ERROR, and serves others on its connection meanwhile", async () => {
      const peer = await H2Peer.open({ port: s.port });
      peer.send(headers(1, block(POST)), data(1, "a"));
      await peer.expect("the end of the answer", ({ streamId, flags }) => streamId === 1 && (flags & 1) !== 0);
      peer.send(headers(3, block(POST), { endStream: true }));
      await peer.expect("the other answer", ({ streamId, flags }) => streamId === 3 && (flags & 1) !== 0);
      await peer.expectReset(1, ErrorCode.NO_ERROR);
      peer.destroy();
    });
  });
}
