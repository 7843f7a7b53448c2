import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Detected, DETECT_BYTES_MAX, detectProtocol, isForForwardProxy } from "../../../src/core/tcp/detect.ts";

type Name = keyof typeof Detected;
const nameOf = (value: Detected): Name => (Object.keys(Detected) as Name[]).find((key) => Detected[key] === value)!;

/** What each prefix of the bytes is judged as, and from how many bytes on the last verdict stands. */
function verdicts(bytes: Buffer): { readonly last: Name; readonly decidedAt: number } {
  let last: Name = "undecided";
  let decidedAt = -1;
  // Behind other bytes and before others: only the range counts.
  const padded = Buffer.concat([Buffer.from("GET \0"), bytes, Buffer.from(" HTTP/1.1\r\n\0\x16\x03")]);
  for (let size = 0; size <= bytes.length; size++) {
    const name = nameOf(detectProtocol(padded, 5, 5 + size));
    if (decidedAt >= 0) assert.equal(name, last, `verdict changed at ${size} bytes`);
    else if (name !== "undecided") decidedAt = size;
    last = name;
  }
  return { last, decidedAt };
}

function decides(input: string | Buffer, expected: Name, decidedAt?: number): void {
  const bytes = typeof input === "string" ? Buffer.from(input, "latin1") : input;
  const got = verdicts(bytes);
  assert.equal(got.last, expected, JSON.stringify(bytes.toString("latin1").slice(0, 80)));
  if (decidedAt !== undefined) assert.equal(got.decidedAt, decidedAt, `decided after ${got.decidedAt} bytes`);
}

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

describe("detection: TLS (RFC 8446 section 5.1)", () => {
  it("knows a record after five bytes, whatever the size of the ClientHello", () => {
    decides(Buffer.from([0x16, 3, 1, 6, 0x40, 1, 0, 6, 0x3c, 3, 3]), "tls", 5);
  });

  it("takes the versions 3.1 to 3.4 and no others", () => {
    for (const minor of [1, 2, 3, 4]) decides(Buffer.from([0x16, 3, minor, 0, 200]), "tls", 5);
    for (const minor of [0, 5, 255]) decides(Buffer.from([0x16, 3, minor, 0, 200]), "opaque", 3);
    for (const major of [0, 2, 4, 0x20]) decides(Buffer.from([0x16, major, 1, 0, 200]), "opaque", 2);
  });

  it("takes a length from 1 to 2^14 + 256", () => {
    for (const [size, expected] of [
      [0, "opaque"],
      [1, "tls"],
      [16_384, "tls"],
      [16_640, "tls"],
      [16_641, "opaque"],
      [65_535, "opaque"],
    ] as const) {
      decides(Buffer.from([0x16, 3, 3, size >> 8, size & 255]), expected, 5);
    }
  });

  it("takes other record types for opaque", () => {
    for (const type of [0x14, 0x15, 0x17, 0x18]) decides(Buffer.from([type, 3, 3, 0, 200]), "opaque", 1);
  });
});

describe("detection: HTTP/2 (RFC 9113 section 3.4)", () => {
  it("needs the whole preface", () => {
    decides(PREFACE, "http2", PREFACE.length);
  });

  it("does not care what follows the preface", () => {
    decides(`${PREFACE}\0\0\x12\x04\0\0\0\0\0`, "http2", PREFACE.length);
  });

  it("takes a preface line with another end for HTTP/1, whose parser refuses the version", () => {
    decides("PRI * HTTP/2.0\r\nHost: a\r\n\r\n", "http1", 17);
    decides("PRI * HTTP/2.0\r\n\r\nSX", "http1", 20);
    decides("PRI * HTTP/2.0\n", "http1", 15);
  });

  it("takes PRI with another target as any unknown method", () => {
    decides("PRI /a HTTP/1.1\r\n", "http1", 16);
    decides("PRI things\r\n", "opaque", 11);
  });

  it("does not take a preface behind an empty line for HTTP/2", () => {
    decides(`\r\n${PREFACE}`, "http1", 17);
  });
});

describe("detection: HTTP/1 by its method", () => {
  const methods =
    "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH PURGE M-SEARCH";
  it("knows common methods at the space", () => {
    for (const method of methods.split(" ")) decides(`${method} / HTTP/1.1\r\n`, "http1", method.length + 1);
  });

  it("is for good: what comes after the space does not matter", () => {
    for (const rest of ["\0\0\0", "\r\n", "\n", "  ", "/ SSH-2.0", "\xff\xfe", "rtsp://a RTSP/1.0\r\n"]) decides(`GET ${rest}`, "http1", 4);
  });

  it("is undecided at a method without its space", () => {
    for (const method of methods.split(" ")) decides(method, "undecided");
  });

  it("counts case, and the whole word", () => {
    decides("get key\r\n", "opaque", 8);
    decides("GETS key\r\n", "opaque", 9);
    decides("GE key\r\n", "opaque", 7);
    decides("GET\r\n", "opaque", 4);
    decides("GET\tkey\r\n", "opaque", 8);
  });
});

describe("detection: HTTP/1 by its first line", () => {
  it("takes any line that ends in a version, as soon as it ends", () => {
    const lines = [
      "FROBNICATE /x HTTP/1.1",
      "get / HTTP/1.1",
      "G@T / HTTP/1.1",
      "GET\t/ HTTP/1.1",
      " GET / HTTP/1.1",
      "X HTTP/1.1",
      "X  HTTP/0.9",
      "X /\xe9 HTTP/1.0",
      "X / HTTP/9.9",
    ];
    for (const line of lines) {
      decides(`${line}\r\n`, "http1", line.length + 1);
      decides(`${line}\n`, "http1", line.length + 1);
      decides(line, "undecided");
    }
  });

  it("takes nothing else for a version", () => {
    for (const end of [
      "HTTP/1.1",
      "/ HTTP/1.",
      "/ HTTP/11",
      "/ HTTP/x.y",
      "/ http/1.1",
      "/ HTTP/1.1 ",
      "/\tHTTP/1.1",
      "/ HTTPS/1.1",
      "/ ICAP/1.0",
    ]) {
      decides(`FROB${end}\r\n`, "opaque");
    }
    decides(" HTTP/1.1\r\n", "http1");
    decides("HTTP/1.1\r\n", "opaque");
    decides("HTTP/1.1 200 OK\r\n", "opaque", 16);
  });

  it("skips empty lines before a request (RFC 9112 section 2.2)", () => {
    decides("\r\nGET / HTTP/1.1\r\n", "http1", 6);
    decides("\r\n\r\nFROB / HTTP/1.1\r\n", "http1", 20);
    decides("\r\n", "undecided");
    decides("\r", "undecided");
  });

  it("does not skip anything else, nor empty lines without end", () => {
    decides("\rGET / HTTP/1.1\r\n", "opaque", 2);
    decides("\nGET / HTTP/1.1\r\n", "opaque", 1);
    decides("\r\n".repeat(5), "opaque", 9);
    decides("\r\n\x16\x03\x01\x02\x00\x01", "opaque", 3);
  });

  it("gives up after so many bytes without a line end", () => {
    const word = `FROB /${"a".repeat(DETECT_BYTES_MAX)}`;
    assert.equal(nameOf(detectProtocol(Buffer.from(word), 0, DETECT_BYTES_MAX - 1)), "undecided");
    assert.equal(nameOf(detectProtocol(Buffer.from(word), 0, DETECT_BYTES_MAX)), "opaque");
    const late = Buffer.from(`${word} HTTP/1.1\r\n`);
    assert.equal(nameOf(detectProtocol(late, 0, late.length)), "opaque");
  });
});

describe("detection: opaque", () => {
  it("knows binary protocols within their first bytes", () => {
    decides(Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]), "opaque", 1); // PostgreSQL: SSLRequest
    decides(Buffer.from([0x20, 0, 0, 1, 0x85, 0xa6]), "opaque", 2); // MySQL: the length's first byte is a space
    decides(Buffer.from([0x3a, 0, 0, 0, 1, 0, 0, 0]), "opaque", 1); // MongoDB
    decides(Buffer.from([0x47, 0x20, 0, 0, 1, 0, 0, 0]), "opaque", 3); // MongoDB, a length that looks like a word
    decides(Buffer.from([0x10, 0x1a, 0, 4]), "opaque", 1); // MQTT
    decides("AMQP\0\0\x09\x01", "opaque", 5);
    decides(Buffer.from([0x30, 0x0c, 2, 1, 1]), "opaque", 2); // LDAP
    decides(Buffer.from([0xff, 0xfd, 3]), "opaque", 1); // telnet
    decides(Buffer.from([4, 0, 0, 0, 1]), "opaque", 1); // Cassandra
    decides("\r\n\r\n\0\r\nQUIT\n", "opaque", 5); // PROXY protocol, version 2
  });

  it("knows text protocols at the end of their first line at the latest", () => {
    for (const line of [
      "SSH-2.0-OpenSSH_9.2p1 Debian-2",
      "PING",
      "*1",
      "get key",
      "EHLO mail",
      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2",
      "NICK x",
    ]) {
      decides(`${line}\r\n`, "opaque", line.length + 1);
      decides(`${line}\n`, "opaque", line.length + 1);
      decides(line, "undecided");
    }
  });

  it("knows at the first byte what no method begins with", () => {
    for (const text of ['{"id":1}', "[1]", "<?xml?>", '"x"', "(a)", ":a", "/a", "=", "@", "é"]) decides(text, "opaque", 1);
  });

  it("is undecided without a byte", () => {
    decides("", "undecided");
  });
});

describe("requests for a forward proxy", () => {
  const judge = (text: string) => {
    const bytes = Buffer.from(`\0\0${text}`, "latin1");
    const verdicts = Array.from({ length: text.length + 1 }, (_, size) => isForForwardProxy(bytes, 2, 2 + size));
    const first = verdicts.findIndex((verdict) => verdict !== undefined);
    // However the bytes are split: the first verdict stands.
    if (first >= 0)
      assert.ok(
        verdicts.slice(first).every((verdict) => verdict === verdicts[first]),
        text,
      );
    return verdicts.at(-1);
  };

  for (const text of ["CONNECT inside:443 HTTP/1.1\r\n", "GET http://inside/ HTTP/1.1\r\n", "\r\nPOST http://inside/ HTTP/1.1\r\n"])
    it(`${JSON.stringify(text)} is one`, () => assert.equal(judge(text), true));
  for (const text of [
    "GET / HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "GET http:/x HTTP/1.1\r\n",
    "CONNECTED / HTTP/1.1\r\n",
    "GET ht HTTP/1.1\r\n",
  ])
    it(`${JSON.stringify(text)} is none`, () => assert.equal(judge(text), false));
  for (const text of ["", "CONNECT", "GET ", "GET http:/", "\r\nGET h"])
    it(`${JSON.stringify(text)} may become one`, () => assert.equal(judge(text), undefined));
});
