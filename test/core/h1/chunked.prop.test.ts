// Properties of the chunk scanner: any split means the same, wire and payload mean the same, damage is never silent in one mode only.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { it } from "node:test";
import fc from "fast-check";
import { bytesOf, scanBody } from "./feed.ts";
import { chunkedBody, damaged, splitSeeds, splits } from "./messages.ts";

const RUNS = { numRuns: 3000 };

it("delivers the payload and the trailers however the body is split", () => {
  fc.assert(
    fc.property(chunkedBody, splitSeeds, ({ bytes, payload, trailers }, seeds) => {
      const outcome = scanBody(bytes, false, splits(bytes.length, seeds));
      assert.equal(outcome.result, "end");
      assert.equal(outcome.body, payload);
      assert.equal(outcome.trailers ?? "", trailers);
      assert.equal(outcome.consumed, bytes.length);
    }),
    RUNS,
  );
});

it("delivers wire that means the same payload, without any extension", () => {
  fc.assert(
    fc.property(chunkedBody, splitSeeds, ({ bytes, payload, trailers }, seeds) => {
      const outcome = scanBody(bytes, true, splits(bytes.length, seeds));
      assert.equal(outcome.result, "end");
      assert.equal(outcome.trailers ?? "", trailers);
      const again = scanBody(bytesOf(`${outcome.wire}0\r\n\r\n`), false);
      assert.equal(again.result, "end");
      assert.equal(again.body, payload);
      // Nothing in the wire was in need of being written anew: read whole, it is one range, or there are no chunks.
      const clean = scanBody(bytesOf(`${outcome.wire}0\r\n\r\n`), true);
      assert.equal(clean.wire, outcome.wire);
      assert.equal(clean.events.length, outcome.wire === "" ? 1 : 2);
    }),
    RUNS,
  );
});

it("comes to the same answer for damaged bodies in both modes and any split", () => {
  const text = chunkedBody.map(({ bytes }) => bytes.toString("latin1"));
  fc.assert(
    fc.property(damaged(text), splitSeeds, (body, seeds) => {
      const bytes = bytesOf(body);
      const ends = splits(bytes.length, seeds);
      const payload = scanBody(bytes, false);
      for (const other of [scanBody(bytes, true), scanBody(bytes, false, ends), scanBody(bytes, true, ends)]) {
        assert.equal(other.result, payload.result);
        assert.equal(other.trailers, payload.trailers);
        if (payload.result === "end") assert.equal(other.consumed, payload.consumed);
      }
    }),
    RUNS,
  );
});

it("leaves what follows the message alone", () => {
  fc.assert(
    fc.property(chunkedBody, fc.uint8Array({ maxLength: 40 }), fc.boolean(), ({ bytes }, following, wantsWire) => {
      const outcome = scanBody(Buffer.concat([bytes, following]), wantsWire);
      assert.equal(outcome.result, "end");
      assert.equal(outcome.consumed, bytes.length);
    }),
    { numRuns: 500 },
  );
});
