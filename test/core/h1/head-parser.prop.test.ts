// Properties of the head parsers and writers: what they say depends on the bytes alone, and what is written parses again.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { it } from "node:test";
import fc from "fast-check";
import { requestHeadRoom, responseHeadRoom, writeRequestHead, writeResponseHead } from "../../../src/core/h1/serialize.ts";
import { FIELD_STRIDE, FieldId, MessageHead } from "../../../src/core/http/head.ts";
import { bytesOf, type Kind, LIMITS, outcomeOf, parseBytewise, parserOf, parseSplit, parseWhole } from "./feed.ts";
import { damaged, requestHead, responseHead, splitSeeds, splits } from "./messages.ts";

const RUNS = { numRuns: 3000 };
const KINDS: readonly (readonly [Kind, fc.Arbitrary<string>])[] = [
  ["request", requestHead],
  ["response", responseHead],
];

for (const [kind, text] of KINDS) {
  it(`accepts every valid ${kind}, whole and byte by byte`, () => {
    fc.assert(
      fc.property(text, (message) => {
        const bytes = bytesOf(message);
        const whole = parseWhole(kind, bytes);
        assert.equal(whole.result, String(bytes.length));
        assert.deepEqual(parseBytewise(kind, bytes), whole);
      }),
      { numRuns: 1000 },
    );
  });

  it(`says the same of a damaged ${kind} however it is split`, () => {
    fc.assert(
      fc.property(damaged(text), splitSeeds, (message, seeds) => {
        const bytes = bytesOf(message);
        assert.deepEqual(parseSplit(kind, bytes, splits(bytes.length, seeds)), parseWhole(kind, bytes));
      }),
      RUNS,
    );
  });

  it(`says the same of a damaged ${kind} at a limit however it is split`, () => {
    const limits = { headerBytesMax: 120, headerCountMax: 4 };
    fc.assert(
      fc.property(damaged(text), splitSeeds, (message, seeds) => {
        const bytes = bytesOf(message);
        assert.deepEqual(parseSplit(kind, bytes, splits(bytes.length, seeds), limits), parseWhole(kind, bytes, limits));
      }),
      RUNS,
    );
  });

  it(`never accepts a ${kind} that has a bare CR, a bare LF, NUL or a fold`, () => {
    fc.assert(
      fc.property(damaged(text), (message) => {
        const { result, head } = parseWhole(kind, bytesOf(message));
        if (head === null) return;
        const accepted = message.slice(0, Number(result));
        assert.doesNotMatch(accepted, /\r(?!\n)|(?<!\r)\n|\0|\r\n[ \t]/);
      }),
      RUNS,
    );
  });
}

function parse(kind: Kind, bytes: Buffer): MessageHead {
  const head = new MessageHead();
  assert.equal(parserOf(kind, { headerBytesMax: 64 * 1024, headerCountMax: 256 }).parse(bytes, 0, bytes.length, head), bytes.length);
  return head;
}

/** Names and values of the fields that are forwarded as they are. */
function plainFields(head: MessageHead): string[] {
  const fields: string[] = [];
  for (let i = 0; i < head.count; i++) {
    const at = i * FIELD_STRIDE;
    const id = head.ids[i];
    const isPlain = id === FieldId.other || id === FieldId.contentLength || id === FieldId.transferEncoding || id === FieldId.date;
    if (isPlain && head.named[i] === 0) fields.push(head.text(head.fields[at]!, head.fields[at + 3]!));
  }
  return fields;
}

it("writes requests that parse again to the same message, nothing hop-by-hop left", () => {
  const options = fc.record({
    hostFallback: fc.constantFrom(null, bytesOf("fallback")),
    upgrade: fc.constant(false),
    forwardedFor: fc.constantFrom(null, bytesOf("10.9.8.7")),
    via: fc.constantFrom(null, bytesOf("weft")),
    clientId: fc.constantFrom(null, bytesOf("web.shop")),
  });
  fc.assert(
    fc.property(requestHead, options, (message, chosen) => {
      const head = parse("request", bytesOf(message));
      const out = Buffer.alloc(requestHeadRoom(head));
      const end = writeRequestHead(head, out, 0, chosen);
      const again = parse("request", out.subarray(0, end));
      assert.equal(again.version, 11);
      assert.equal(again.isAbsolute, false);
      assert.equal(again.method, head.method);
      assert.equal(again.framing, head.framing);
      assert.equal(again.contentLength, head.contentLength);
      if (head.isAbsolute || head.authorityEnd > head.authorityStart) {
        assert.equal(again.text(again.authorityStart, again.authorityEnd), head.text(head.authorityStart, head.authorityEnd));
      }
      const path = head.text(head.isAbsolute ? head.pathStart : head.targetStart, head.targetEnd);
      assert.equal(again.text(again.targetStart, again.targetEnd), path);
      assert.deepEqual(plainFields(again), plainFields(head));
      for (let i = 0; i < again.count; i++) {
        const id = again.ids[i]!;
        assert.ok(
          id !== FieldId.keepAlive && id !== FieldId.proxyConnection && (id < FieldId.l5dDstOverride || id === FieldId.l5dClientId),
          out.toString("latin1", 0, end),
        );
      }
      const clientIds = Array.from({ length: again.count }, (_, i) => again.ids[i]).filter((id) => id === FieldId.l5dClientId);
      assert.equal(clientIds.length, chosen.clientId === null ? 0 : 1);
      // A second pass through a proxy changes nothing more, but for the TE option and what is added on purpose.
      if (chosen.forwardedFor === null && chosen.via === null && chosen.clientId === null) {
        const twice = Buffer.alloc(requestHeadRoom(again));
        assert.equal(twice.toString("latin1", 0, writeRequestHead(again, twice, 0, chosen)), out.toString("latin1", 0, end));
      }
    }),
    RUNS,
  );
});

it("writes responses that parse again to the same message", () => {
  fc.assert(
    fc.property(responseHead, fc.constantFrom(0, 1, 2), (message, connection) => {
      const head = parse("response", bytesOf(message));
      const out = Buffer.alloc(responseHeadRoom(head));
      const end = writeResponseHead(head, out, 0, {
        connection: connection as 0 | 1 | 2,
        dropTransferEncoding: false,
        upgrade: false,
        via: null,
      });
      const again = parse("response", out.subarray(0, end));
      assert.equal(again.status, head.status);
      assert.equal(again.version, 11);
      assert.equal(again.contentLength, head.contentLength);
      assert.equal(again.saysClose, connection === 1);
      assert.equal(again.saysKeepAlive, connection === 2);
      assert.deepEqual(plainFields(again), plainFields(head));
    }),
    RUNS,
  );
});

it("comes to the same outcome with one parser and head used again and again", () => {
  const parser = parserOf("request", LIMITS);
  const head = new MessageHead();
  fc.assert(
    fc.property(damaged(requestHead), (message) => {
      const bytes = bytesOf(message);
      parser.reset();
      assert.deepEqual(outcomeOf(parser.parse(bytes, 0, bytes.length, head), head), parseWhole("request", bytes));
    }),
    RUNS,
  );
});
