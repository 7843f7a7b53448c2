import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isHttp2Server } from "../../../src/core/tcp/detect-server.ts";

/** The header of a frame. */
function header(length: number, type: number, flags: number, streamId: number): number[] {
  return [
    length >> 16,
    (length >> 8) & 0xff,
    length & 0xff,
    type,
    flags,
    streamId >>> 24,
    (streamId >> 16) & 0xff,
    (streamId >> 8) & 0xff,
    streamId & 0xff,
  ];
}

function judge(bytes: readonly number[]): boolean {
  // Between other bytes: only the range counts.
  return isHttp2Server(Buffer.from([0, 0, 0, 4, ...bytes, 0, 0, 0, 4]), 4, 4 + bytes.length);
}

describe("isHttp2Server", () => {
  it("knows SETTINGS, empty, of any size, with what follows, and with the reserved bit", () => {
    assert.equal(judge(header(0, 4, 0, 0)), true);
    assert.equal(judge([...header(6, 4, 0, 0), 0, 3, 0, 0, 0, 100]), true);
    assert.equal(judge([...header(12, 4, 0, 0), 0, 3, 0]), true, "its payload is on the way");
    assert.equal(judge([...header(0, 4, 0, 0), ...header(4, 8, 0, 0), 0, 0, 0, 1]), true);
    assert.equal(judge(header(16_380, 4, 0, 0)), true);
    assert.equal(judge(header(0, 4, 0, -0x8000_0000)), true);
  });

  it("takes no other frame for it", () => {
    assert.equal(judge(header(0, 4, 1, 0)), false, "an acknowledgement");
    assert.equal(judge(header(0, 4, 0, 1)), false, "on a stream");
    assert.equal(judge(header(7, 4, 0, 0)), false, "no whole settings");
    assert.equal(judge(header(16_386, 4, 0, 0)), false, "larger than a frame may be");
    for (const type of [0, 1, 2, 3, 5, 6, 7, 8, 9]) assert.equal(judge(header(0, type, 0, 0)), false, `type ${type}`);
  });

  it("does not wait for the rest of a header, nor look behind what came", () => {
    for (let size = 0; size < 9; size++) assert.equal(judge(header(0, 4, 0, 0).slice(0, size)), false, `${size} bytes`);
  });

  it("leaves greetings alone", () => {
    for (const greeting of ["220 ready\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "+OK POP3 ready\r\n", "INFO {}\r\n", "* OK IMAP\r\n"]) {
      assert.equal(judge([...Buffer.from(greeting)]), false, greeting);
    }
    // MySQL: length (little endian), number 0, protocol 10, version.
    assert.equal(judge([0x4a, 0, 0, 0, 0x0a, ...Buffer.from("8.0.36")]), false);
    // A length of four in four bytes, and four zeros.
    assert.equal(judge([0, 0, 0, 4, 0, 0, 0, 0]), false);
  });
});
