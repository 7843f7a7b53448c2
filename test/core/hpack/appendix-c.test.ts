// The examples of RFC 7541 Appendix C, with the table that each one leaves behind.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HpackDecoder } from "../../../src/core/hpack/decoder.ts";
import { HpackCode } from "../../../src/core/hpack/hpack-codes.ts";
import { readContinuation, writeInteger } from "../../../src/core/hpack/integer.ts";
import { decode, hex, LIMITS, tableOf } from "./codec.ts";

describe("RFC 7541 C.1, integers", () => {
  for (const [value, prefix, bytes] of [
    [10, 0x1f, "0a"],
    [1337, 0x1f, "1f9a0a"],
    [42, 0xff, "2a"],
  ] as const) {
    it(`${value} with the prefix ${prefix}`, () => {
      const out = Buffer.alloc(8);
      const size = writeInteger(out, 0, 0, prefix, value);
      assert.equal(out.toString("hex", 0, size), bytes);
      if (out[0] === prefix) assert.equal(readContinuation(out, 1, size, prefix), value);
    });
  }
});

interface Step {
  readonly bytes: string;
  readonly fields: readonly string[];
  readonly table: readonly string[];
  readonly size: number;
}

function run(steps: readonly Step[], tableLimit?: number): void {
  const decoder = new HpackDecoder(LIMITS);
  let prefix = "";
  if (tableLimit !== undefined) {
    // The appendix sets the size from outside; here the block says so, as it would on a connection.
    decoder.setTableLimit(tableLimit);
    prefix = "3fe101";
    assert.equal(tableLimit, 0x1f + 0x61 + 0x80);
  }
  for (const [i, step] of steps.entries()) {
    const decoded = decode(decoder, hex((i === 0 ? prefix : "") + step.bytes));
    assert.equal(decoded.code, HpackCode.ok, `step ${i}`);
    const order = (a: string, b: string): number => Number(b.startsWith(":")) - Number(a.startsWith(":")) || (a < b ? -1 : 1);
    assert.deepEqual(decoded.fields.map(({ name, value }) => `${name}: ${value}`).sort(order), [...step.fields].sort(order));
    assert.deepEqual(tableOf(decoder), step.table, `table behind step ${i}`);
    assert.equal(decoder.tableSize, step.size);
  }
}

describe("RFC 7541 C.2, single fields", () => {
  it("C.2.1: literal with indexing", () => {
    run([
      {
        bytes: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        fields: ["custom-key: custom-header"],
        table: ["custom-key: custom-header"],
        size: 55,
      },
    ]);
  });

  it("C.2.2: literal without indexing", () => {
    run([{ bytes: "040c 2f73 616d 706c 652f 7061 7468", fields: [":path: /sample/path"], table: [], size: 0 }]);
  });

  it("C.2.3: never-indexed literal", () => {
    const decoder = new HpackDecoder(LIMITS);
    const decoded = decode(decoder, hex("1008 7061 7373 776f 7264 0673 6563 7265 74"));
    assert.deepEqual(decoded.fields, [{ name: "password", value: "secret", never: true }]);
    assert.equal(decoded.block.hasNeverIndexed, true);
    assert.deepEqual(tableOf(decoder), []);
  });

  it("C.2.4: indexed", () => {
    run([{ bytes: "82", fields: [":method: GET"], table: [], size: 0 }]);
  });
});

const REQUEST_1 = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
const REQUEST_2 = [...REQUEST_1, "cache-control: no-cache"];
const REQUEST_3 = [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"];
const REQUEST_TABLES = [
  { table: [":authority: www.example.com"], size: 57 },
  { table: ["cache-control: no-cache", ":authority: www.example.com"], size: 110 },
  { table: ["custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"], size: 164 },
] as const;

describe("RFC 7541 C.3 and C.4, requests", () => {
  it("C.3: without Huffman coding", () => {
    run([
      { bytes: "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", fields: REQUEST_1, ...REQUEST_TABLES[0] },
      { bytes: "8286 84be 5808 6e6f 2d63 6163 6865", fields: REQUEST_2, ...REQUEST_TABLES[1] },
      {
        bytes: "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        fields: REQUEST_3,
        ...REQUEST_TABLES[2],
      },
    ]);
  });

  it("C.4: with Huffman coding", () => {
    run([
      { bytes: "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", fields: REQUEST_1, ...REQUEST_TABLES[0] },
      { bytes: "8286 84be 5886 a8eb 1064 9cbf", fields: REQUEST_2, ...REQUEST_TABLES[1] },
      { bytes: "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", fields: REQUEST_3, ...REQUEST_TABLES[2] },
    ]);
  });
});

const DATE_1 = "date: Mon, 21 Oct 2013 20:13:21 GMT";
const DATE_2 = "date: Mon, 21 Oct 2013 20:13:22 GMT";
const LOCATION = "location: https://www.example.com";
const COOKIE = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
const RESPONSES = [
  {
    fields: [":status: 302", "cache-control: private", DATE_1, LOCATION],
    table: [LOCATION, DATE_1, "cache-control: private", ":status: 302"],
    size: 222,
  },
  {
    fields: [":status: 307", "cache-control: private", DATE_1, LOCATION],
    table: [":status: 307", LOCATION, DATE_1, "cache-control: private"],
    size: 222,
  },
  {
    fields: [":status: 200", "cache-control: private", DATE_2, LOCATION, "content-encoding: gzip", COOKIE],
    table: [COOKIE, "content-encoding: gzip", DATE_2],
    size: 215,
  },
] as const;

describe("RFC 7541 C.5 and C.6, responses with a table of 256 bytes", () => {
  it("C.5: without Huffman coding", () => {
    run(
      [
        {
          bytes: `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e
            1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
          ...RESPONSES[0],
        },
        { bytes: "4803 3330 37c1 c0bf", ...RESPONSES[1] },
        {
          bytes: `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d
            4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
          ...RESPONSES[2],
        },
      ],
      256,
    );
  });

  it("C.6: with Huffman coding", () => {
    run(
      [
        {
          bytes: `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8
            e9ae 82ae 43d3`,
          ...RESPONSES[0],
        },
        { bytes: "4883 640e ffc1 c0bf", ...RESPONSES[1] },
        {
          bytes: `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b
            3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
          ...RESPONSES[2],
        },
      ],
      256,
    );
  });
});
