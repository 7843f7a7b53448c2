import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Framing } from "../../../src/core/http/head.ts";
import { MALFORMED, WELL_FORMED } from "../../../src/core/h2/field-rules.ts";
import { headText } from "../../support/h2-engine.ts";
import { h1Response } from "../../support/h1-heads.ts";
import type { Fields } from "../../support/h2-hpack.ts";
import { facts, readResponse, scratch } from "./heads.ts";

const OK: Fields = [[":status", "200"]];

describe("a response's head (RFC 9113 8.3.2)", () => {
  it("says what an HTTP/1.1 parser reads in its text", () => {
    for (const status of ["100", "103", "200", "204", "304", "404", "503", "599", "999"]) {
      assert.equal(
        readResponse([
          [":status", status],
          ["server", "x"],
          ["via", "1.1 a"],
          ["date", "now"],
        ]),
        WELL_FORMED,
      );
      assert.deepEqual(facts(scratch.head), facts(h1Response(headText(scratch.head))));
      assert.equal(scratch.head.version, 20);
    }
  });

  it("knows how its body ends", () => {
    const framing = (fields: Fields, options: { isEnd?: boolean; isHeadRequest?: boolean } = {}): number => {
      assert.equal(readResponse(fields, options), WELL_FORMED);
      return scratch.head.framing;
    };
    assert.equal(framing(OK), Framing.chunked);
    assert.equal(framing(OK, { isEnd: true }), Framing.none);
    assert.equal(framing([...OK, ["content-length", "5"]]), Framing.length);
    assert.equal(framing([...OK, ["content-length", "5"]], { isHeadRequest: true, isEnd: true }), Framing.none);
    assert.equal(
      framing(
        [
          [":status", "304"],
          ["content-length", "5"],
        ],
        { isEnd: true },
      ),
      Framing.none,
    );
    assert.equal(framing([[":status", "204"]]), Framing.none);
  });

  for (const [why, fields, isEnd] of [
    ["no :status", [["server", "x"]], false],
    ["a :status of two digits", [[":status", "20"]], false],
    ["a :status of four digits", [[":status", "2000"]], false],
    ["a :status below 100", [[":status", "099"]], false],
    ["a :status that is no number", [[":status", "2x0"]], false],
    ["101 (RFC 9113 8.6)", [[":status", "101"]], false],
    ["an interim status that ends the stream", [[":status", "103"]], true],
    [
      "a pseudo-header field of requests",
      [
        [":status", "200"],
        [":path", "/"],
      ],
      false,
    ],
    [
      "content announced by 204",
      [
        [":status", "204"],
        ["content-length", "1"],
      ],
      false,
    ],
    [
      "content announced by 1xx",
      [
        [":status", "103"],
        ["content-length", "1"],
      ],
      false,
    ],
    [
      "Content-Length that END_STREAM belies",
      [
        [":status", "200"],
        ["content-length", "1"],
      ],
      true,
    ],
    [
      "Connection",
      [
        [":status", "200"],
        ["connection", "close"],
      ],
      false,
    ],
    [
      "TE",
      [
        [":status", "200"],
        ["te", "trailers"],
      ],
      false,
    ],
  ] as const satisfies readonly (readonly [string, Fields, boolean])[]) {
    it(`is malformed with ${why}`, () => {
      assert.equal(readResponse(fields, { isEnd }), MALFORMED);
    });
  }
});
