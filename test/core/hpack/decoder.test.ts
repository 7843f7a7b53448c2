// What a decoder refuses, what it only reports, and that its table stays in step whenever the connection goes on.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DECODER_SLACK, HpackDecoder } from "../../../src/core/hpack/decoder.ts";
import { FieldBlock } from "../../../src/core/hpack/field-block.ts";
import { HpackCode, LIST_FACTOR_MAX, Pseudo } from "../../../src/core/hpack/hpack-codes.ts";
import { FieldId, MessageHead } from "../../../src/core/http/head.ts";
import { type Decoded, decode, hex, LIMITS, listed, tableOf } from "./codec.ts";

/** A string literal as it is. */
function str(text: string): string {
  const size = text.length < 0x7f ? hexByte(text.length) : `7f${varint(text.length - 0x7f)}`;
  return size + Buffer.from(text, "latin1").toString("hex");
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}

function varint(value: number): string {
  return value < 0x80 ? hexByte(value) : hexByte(0x80 | (value & 0x7f)) + varint(value >>> 7);
}

const literal = (name: string, value: string): string => `00${str(name)}${str(value)}`;
const indexed = (name: string, value: string): string => `40${str(name)}${str(value)}`;

function codeOf(...blocks: string[]): string {
  const decoder = new HpackDecoder(LIMITS);
  let decoded: Decoded | null = null;
  for (const block of blocks) decoded = decode(decoder, hex(block));
  return nameOf(decoded!.code);
}

function nameOf(code: HpackCode): string {
  return Object.entries(HpackCode).find(([, value]) => value === code)![0];
}

describe("compression errors: the connection is lost", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["index 0", "80", "badIndex"],
    ["an index behind an empty table", "be", "badIndex"],
    ["an index behind the last entry", `${indexed("a", "b")}bebf`, "badIndex"],
    ["a large index", "ffffffff0f", "badIndex"],
    ["a name by an index that is not there, never-indexed", "1f2f0161", "badIndex"],
    ["a name by an index that is not there, with indexing", "7e0161", "badIndex"],
    ["an index that goes on behind the block", "ff", "truncated"],
    ["an index that goes on behind the block, later", "ffff", "truncated"],
    ["an index of six bytes behind its prefix", "ff808080808001", "badInteger"],
    ["an index of leading zeros without end", "ffff80808080808080808000", "badInteger"],
    ["an index above 2^31 - 1", "ff81ffffff07", "badInteger"],
    ["an index above 2^32", "ffffffffff7f", "badInteger"],
    ["a size above 2^31 - 1", "007fffffffff7f", "badInteger"],
    ["a literal without a name", "00", "truncated"],
    ["a literal without a value", "000161", "truncated"],
    ["a name that goes on behind the block", "00056162", "truncated"],
    ["a value that goes on behind the block", "0001610562", "truncated"],
    ["a size that goes on behind the block", "007f", "truncated"],
    ["a Huffman value that goes on behind the block", "00016183ff", "truncated"],
    ["Huffman padding of eight bits", "00016182 1fff", "badHuffman"],
    ["Huffman padding alone, a whole byte", "00016181ff", "badHuffman"],
    ["Huffman padding with a zero", "000161811e", "badHuffman"],
    ["Huffman padding of zeros", "0001618118", "badHuffman"],
    ["the EOS symbol", "00016184ffffffff", "badHuffman"],
    ["the EOS symbol behind another", "000161851fffffffff", "badHuffman"],
    ["the beginning of a long code", "00016182fffe", "badHuffman"],
    ["broken Huffman coding in a name", "0081ff0161", "badHuffman"],
    ["a size update above the limit", "3fe21f", "sizeUpdateTooLarge"],
    ["a size update far above the limit", "3fffffffff07", "badInteger"],
    ["a size update that goes on behind the block", "3f", "truncated"],
    ["a size update behind a field", "8220", "sizeUpdateMisplaced"],
    ["a size update behind a literal", `${literal("a", "b")}20`, "sizeUpdateMisplaced"],
    ["three size updates", "20203f0082", "sizeUpdateMisplaced"],
  ];
  for (const [what, block, expected] of cases) it(what, () => assert.equal(codeOf(block), expected));

  it("two size updates are allowed", () => assert.equal(codeOf("203fe11f82"), "ok"));

  it("an entry that was evicted is gone", () => {
    assert.equal(codeOf(indexed("a", "b"), "20be"), "badIndex");
    const large = indexed("a", "x".repeat(3000));
    assert.equal(codeOf(`${large}be`), "ok");
    assert.equal(codeOf(large, `${large}bf`), "badIndex");
  });

  it("an entry larger than the table empties it, and is no error (RFC 7541 section 4.4)", () => {
    const decoder = new HpackDecoder(LIMITS);
    decode(decoder, hex(indexed("a", "b")));
    const decoded = decode(decoder, hex(indexed("large", "x".repeat(5000))));
    assert.equal(decoded.code, HpackCode.ok);
    assert.deepEqual(decoded.fields, [{ name: "large", value: "x".repeat(5000) }]);
    assert.deepEqual([decoder.tableCount, decoder.tableSize], [0, 0]);
  });
});

describe("a limit of ours that was lowered (RFC 7541 section 4.2)", () => {
  const lowered = (...limits: number[]): HpackDecoder => {
    const decoder = new HpackDecoder(LIMITS);
    decode(decoder, hex(indexed("a", "b")));
    for (const limit of limits) decoder.setTableLimit(limit);
    return decoder;
  };
  const cases: readonly (readonly [string, readonly number[], string, string])[] = [
    ["asks for an update", [100], "82", "sizeUpdateMissing"],
    ["asks for one also in an empty block", [100], "", "sizeUpdateMissing"],
    ["takes the same size", [100], "3f4582", "ok"],
    ["takes a smaller one", [100], "2082", "ok"],
    ["takes no larger one", [100], "3f46", "sizeUpdateTooLarge"],
    ["asks for the smallest of several", [100, 4096], "3fe11f82", "sizeUpdateMissing"],
    ["takes the smallest, then the last", [100, 4096], "3f453fe11f82", "ok"],
    ["takes the smallest alone", [100, 4096], "3f4582", "ok"],
    ["is forgotten behind the block that obeyed", [100], "3f4582", "ok"],
    ["a raised one asks for nothing", [8192], "82", "ok"],
    ["a raised one may be used", [8192], "3fe13f82", "ok"],
  ];
  for (const [what, limits, block, expected] of cases) {
    it(what, () => assert.equal(nameOf(decode(lowered(...limits), hex(block)).code), expected));
  }

  it("once obeyed it is settled, and the entries are gone", () => {
    const decoder = lowered(20);
    assert.equal(decode(decoder, hex("3482")).code, HpackCode.ok);
    assert.equal(decoder.tableCount, 0);
    assert.equal(decode(decoder, hex("82")).code, HpackCode.ok);
  });
});

describe("malformed messages: the stream ends, the table stays in step", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["an upper-case letter", literal("Name", "v"), "badName"],
    ["an empty name", literal("", "v"), "badName"],
    ["a space in a name", literal("a b", "v"), "badName"],
    ["a colon in a name", literal("a:b", "v"), "badName"],
    ["a control character in a name", literal("a\r\nb", "v"), "badName"],
    ["a byte above ASCII in a name", literal("n\xe4me", "v"), "badName"],
    ["NUL in a value", literal("a", "b\0c"), "badValue"],
    ["CR in a value", literal("a", "b\rc"), "badValue"],
    ["LF in a value", literal("a", "b\nX: y"), "badValue"],
    ["a control character in a long value", literal("a", `${"x".repeat(50)}\x01${"x".repeat(50)}`), "badValue"],
    ["LF at the end of a long value", literal("a", `${"x".repeat(61)}\n`), "badValue"],
    ["DEL in a value", literal("a", "b\x7f"), "badValue"],
    ["a space before a value", literal("a", " b"), "badValue"],
    ["a tab behind a value", literal("a", "b\t"), "badValue"],
    ["a value of one space", literal("a", " "), "badValue"],
    ["Huffman: an upper-case name", "0081c7 0161", "badName"],
    ["Huffman: NUL in a value", "000161 82ffc7", "badValue"],
    ["Huffman: a space before a value", "000161 82507f", "badValue"],
    ["NUL in :path", `04${str("/\0")}`, "badValue"],
    ["an unknown pseudo-header field", literal(":version", "1"), "unknownPseudo"],
    ["a colon as a name", literal(":", "1"), "unknownPseudo"],
    ["an upper-case pseudo-header field", literal(":Method", "GET"), "unknownPseudo"],
    ["a pseudo-header field twice", "8282", "repeatedPseudo"],
    ["a pseudo-header field twice, with another value", "8283", "repeatedPseudo"],
    ["a pseudo-header field behind a regular one", `${literal("a", "b")}82`, "latePseudo"],
    ["a pseudo-header field behind a static regular one", "9082", "latePseudo"],
    ["the first fault is the one that is said", `${literal("A", "b")}8282`, "badName"],
  ];
  for (const [what, block, expected] of cases) it(what, () => assert.equal(codeOf(block), expected));

  it("tabs, spaces and bytes above ASCII inside of values are fine, and so is an empty value", () => {
    assert.equal(codeOf(literal("a", "b \t c\xff") + literal("b", "") + literal("c", `${"x".repeat(20)}\t\xff \xe4`)), "ok");
  });

  it("a faulty entry is kept, and faulty again when it is used; its name too, its value not", () => {
    const decoder = new HpackDecoder(LIMITS);
    assert.equal(decode(decoder, hex(indexed("Bad", "v") + indexed("good", "a\0"))).code, HpackCode.badName);
    assert.deepEqual(tableOf(decoder), ["good: a\0", "Bad: v"]);
    assert.equal(nameOf(decode(decoder, hex("be")).code), "badValue");
    assert.equal(nameOf(decode(decoder, hex("bf")).code), "badName");
    assert.deepEqual(decode(decoder, hex(`7e${str("fine")}`)).fields, listed("good: fine"));
    assert.equal(nameOf(decode(decoder, hex(`0f31${str("fine")}`)).code), "badName");
  });

  it("an unknown pseudo-header field that entered is one again by its index", () => {
    assert.equal(codeOf(indexed(":x", "v"), "be"), "unknownPseudo");
    assert.equal(codeOf(indexed(":protocol", "websocket"), "be"), "ok");
  });
});

describe("lists above the limits: 431, and the table stays in step", () => {
  const limits = { listBytesMax: 200, fieldsMax: 4 };

  it("a list of exactly the limit is fine, one byte more is not (RFC 9113 section 6.5.2)", () => {
    const fits = literal("a", "x".repeat(200 - 33));
    assert.equal(decode(new HpackDecoder(limits), hex(fits), limits).code, HpackCode.ok);
    const over = decode(new HpackDecoder(limits), hex(literal("a", "x".repeat(200 - 32))), limits);
    assert.equal(over.code, HpackCode.tooLarge);
    assert.deepEqual([over.fields, over.block.listBytes], [[], 201]);
  });

  it("counts indexed fields like any others", () => {
    const decoder = new HpackDecoder(limits);
    decode(decoder, hex(indexed("a", "x".repeat(40))), limits);
    assert.equal(decode(decoder, hex("bebe"), limits).code, HpackCode.ok);
    assert.equal(decode(decoder, hex("bebebe"), limits).code, HpackCode.tooLarge);
  });

  it("more fields than fieldsMax", () => {
    const four = "90".repeat(2) + literal("a", "b").repeat(2);
    const wide = { listBytesMax: 1000, fieldsMax: 4 };
    assert.equal(decode(new HpackDecoder(wide), hex(four), wide).code, HpackCode.ok);
    for (const one of ["90", literal("c", "d")]) {
      const decoded = decode(new HpackDecoder(wide), hex(four + one), wide);
      assert.equal(decoded.code, HpackCode.tooLarge);
      assert.equal(decoded.fields.length, 4);
    }
  });

  it("what comes behind the limit still enters the table, in every form", () => {
    const huffman = "40 8825a849e95ba97d7f 8925a849e95bb8e8b4bf";
    const behind = [indexed("late", "one"), `41${str("host")}`, huffman, `7e${str("by dynamic name")}`, indexed("Bad", "\0")].join("");
    const decoder = new HpackDecoder(limits);
    const decoded = decode(decoder, hex(literal("large", "x".repeat(300)) + behind), limits);
    assert.equal(decoded.code, HpackCode.tooLarge);
    const same = new HpackDecoder(LIMITS);
    decode(same, hex(behind));
    assert.deepEqual(tableOf(decoder), tableOf(same));
    assert.equal(decode(decoder, hex("be"), limits).code, HpackCode.badName, "its faults are known, too");
    assert.deepEqual(decode(decoder, hex("c0"), limits).fields, listed("custom-key: custom-value"));
  });

  it("an entry larger than the table empties it behind the limit as well", () => {
    const some = { listBytesMax: 400, fieldsMax: 4 };
    const decoder = new HpackDecoder(some);
    const decoded = decode(decoder, hex(indexed("a", "b") + literal("c", "x".repeat(400)) + indexed("d", "x".repeat(4040))), some);
    assert.equal(decoded.code, HpackCode.tooLarge);
    assert.deepEqual(tableOf(decoder), [`d: ${"x".repeat(4040)}`]);
    const wide = { listBytesMax: 1000, fieldsMax: 4 };
    const other = new HpackDecoder(wide);
    assert.equal(decode(other, hex(indexed("a", "b") + indexed("d", "x".repeat(5000))), wide).code, HpackCode.tooLarge);
    assert.equal(other.tableCount, 0);
  });

  it("compression errors behind the limit are errors", () => {
    const over = literal("large", "x".repeat(300));
    for (const [bad, expected] of [
      ["80", "badIndex"],
      ["00016181ff", "badHuffman"],
      ["0081ff0161", "badHuffman"],
      ["40016181ff", "badHuffman"],
      ["0001", "truncated"],
      ["00016105", "truncated"],
      ["7f80808080808001", "badInteger"],
      ["20", "sizeUpdateMisplaced"],
    ] as const) {
      assert.equal(nameOf(decode(new HpackDecoder(limits), hex(over + bad), limits).code), expected, bad);
    }
  });

  it("a bomb ends the connection: one byte that stands for a kilobyte, again and again", () => {
    const decoder = new HpackDecoder(limits);
    const bomb = decode(decoder, hex(indexed("a", "x".repeat(1000)) + "be".repeat(4000)), limits);
    assert.equal(bomb.code, HpackCode.tooMuchWork);
    const names = new HpackDecoder(limits);
    assert.equal(decode(names, hex(indexed("n".repeat(1000), "") + "7e00".repeat(4000)), limits).code, HpackCode.tooMuchWork);
  });

  it("a single string above the bound ends it, too, before it is decoded", () => {
    const size = limits.listBytesMax * LIST_FACTOR_MAX + 1;
    assert.equal(decode(new HpackDecoder(limits), hex(literal("a", "x".repeat(size))), limits).code, HpackCode.tooMuchWork);
    assert.equal(decode(new HpackDecoder(limits), hex(literal("a", "x".repeat(size - 40))), limits).code, HpackCode.tooLarge);
  });

  it("an output without room is a list too large, and nothing is written outside of it", () => {
    const decoder = new HpackDecoder(LIMITS);
    const bytes = hex(`82${indexed("name", "some value that is long enough for a copy")}be${literal("b", "c")}`);
    for (let room = 0; room <= 160; room++) {
      const memory = Buffer.alloc(400, 0x2e);
      const out = memory.subarray(100, 100 + room);
      const block = new FieldBlock();
      const code = decoder.decode(bytes, 0, bytes.length, block, out, Math.min(3, room));
      assert.ok(code === HpackCode.ok || code === HpackCode.tooLarge);
      // 3 free, `GET`, twice the long line, the short one up to its value, and the tail that the decoder keeps free.
      assert.equal(code === HpackCode.ok, room >= 3 + 3 + 2 * 49 + 4 + 8, String(room));
      assert.match(memory.toString("latin1", 100 + room), /^\.+$/);
      assert.match(memory.toString("latin1", 0, 100), /^\.+$/);
    }
  });
});

describe("what a block is decoded to", () => {
  const block = hex(`8286${literal("x-a", "1")}0f0d${str("12")}1f11${str("a=b")}66${str("h")}`);

  it("lines that HTTP/1 takes as they are, with the empty line behind them", () => {
    const decoded = decode(new HpackDecoder(LIMITS), block);
    assert.equal(decoded.lines, "x-a: 1\r\ncontent-length: 12\r\ncookie: a=b\r\nhost: h\r\n");
    const { buffer, start, fieldsEnd } = decoded.block;
    assert.equal(buffer.toString("latin1", start + fieldsEnd, start + fieldsEnd + 2), "\r\n");
  });

  it("ids, flags, pseudo-header fields and the list's size", () => {
    const { block: got } = decode(new HpackDecoder(LIMITS), block);
    assert.deepEqual([...got.ids.subarray(0, 4)], [FieldId.other, FieldId.contentLength, FieldId.other, FieldId.host]);
    assert.deepEqual([...got.flags.subarray(0, 4)], [0, 0, 1, 0]);
    assert.equal(got.hasPseudo(Pseudo.method), true);
    assert.equal(got.hasPseudo(Pseudo.path), false);
    assert.deepEqual([got.pseudoStart(Pseudo.path), got.pseudoEnd(Pseudo.path)], [0, 0]);
    assert.equal(got.listBytes, 6 * 32 + "method:GETscheme:httpx-a1content-length12cookiea=bhosth".length);
  });

  it("a block without regular fields, and an empty one", () => {
    const pseudo = decode(new HpackDecoder(LIMITS), hex("8286"));
    assert.deepEqual([pseudo.code, pseudo.lines, pseudo.block.fieldsStart], [0, "", pseudo.block.fieldsEnd]);
    const empty = decode(new HpackDecoder(LIMITS), hex(""));
    assert.deepEqual([empty.code, empty.fields, empty.block.fieldsEnd], [0, [], 0]);
  });

  it("straight into the tables of a MessageHead", () => {
    const head = new MessageHead();
    const shared = new FieldBlock(head);
    const out = Buffer.alloc(LIMITS.listBytesMax + DECODER_SLACK);
    assert.equal(new HpackDecoder(LIMITS).decode(block, 0, block.length, shared, out, 0), HpackCode.ok);
    head.buffer = out;
    assert.equal(head.text(head.fields[4]!, head.fields[5]!), "content-length");
    assert.equal(head.ids[3], FieldId.host);
  });

  it("one decoder and one block serve message after message", () => {
    const decoder = new HpackDecoder(LIMITS);
    const reused = new FieldBlock();
    const out = Buffer.alloc(LIMITS.listBytesMax + DECODER_SLACK);
    assert.equal(decoder.decode(block, 0, block.length, reused, out, 0), HpackCode.ok);
    const next = hex("88");
    assert.equal(decoder.decode(next, 0, 1, reused, out, 0), HpackCode.ok);
    assert.deepEqual([reused.count, reused.hasNeverIndexed, reused.pseudoSeen], [0, false, 1 << Pseudo.status]);
  });
});
