// What the request parser accepts, refuses and concludes. Every case runs whole and byte by byte, with the same outcome.
// Long because it is the list of what the parser does, one line a case.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FieldId, Framing, Method } from "../../../src/core/http/head.ts";
import { MessageHead } from "../../../src/core/http/head.ts";
import { RequestHeadParser } from "../../../src/core/h1/head-parser.ts";
import { bytesOf, LIMITS, type Outcome, parseBytewise, parseSplit, parseWhole, poisoned } from "./feed.ts";

function parse(text: string, limits = LIMITS): Outcome {
  const bytes = bytesOf(text);
  const whole = parseWhole("request", bytes, limits);
  assert.deepEqual(parseBytewise("request", bytes, limits), whole, "split at every byte");
  return whole;
}

function accepts(text: string): Record<string, unknown> {
  const { result, head } = parse(text);
  assert.equal(result, String(text.length));
  assert.ok(head !== null);
  return head;
}

function refuses(text: string, code: string, limits = LIMITS): void {
  assert.equal(parse(text, limits).result, code);
}

function get(lines: string, version = "1.1", target = "/"): string {
  return `GET ${target} HTTP/${version}\r\n${lines}\r\n`;
}

function post(lines: string): string {
  return `POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`;
}

describe("request line (RFC 9112 section 3)", () => {
  it("reads method, target, version and the place of the fields", () => {
    const head = accepts("GET /a/b?c=d HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.equal(head.method, Method.get);
    assert.equal(head.methodEnd, 3);
    assert.deepEqual([head.targetStart, head.targetEnd], [4, 12]);
    assert.equal(head.version, 11);
    assert.equal(head.fieldsStart, 23);
    assert.equal(head.isAbsolute, false);
  });

  const methods = { GET: 1, HEAD: 2, POST: 3, PUT: 4, DELETE: 5, OPTIONS: 7, TRACE: 8, PATCH: 9, PURGE: 0, get: 0, "M-SEARCH": 0 };
  for (const [name, id] of Object.entries(methods)) {
    it(`knows ${name} as ${id}`, () => {
      assert.equal(accepts(`${name} / HTTP/1.1\r\nHost: a\r\n\r\n`).method, id);
    });
  }

  const refused: readonly [string, string, string][] = [
    ["an empty method", " / HTTP/1.1\r\n", "WEFT_H1_BAD_METHOD"],
    ["a method with a separator", "G(T / HTTP/1.1\r\n", "WEFT_H1_BAD_METHOD"],
    ["a method and nothing else", "GET\r\n", "WEFT_H1_BAD_METHOD"],
    ["a tab for a space", "GET\t/ HTTP/1.1\r\n", "WEFT_H1_BAD_METHOD"],
    ["two spaces before the target", "GET  / HTTP/1.1\r\n", "WEFT_H1_BAD_TARGET"],
    ["two spaces before the version", "GET /  HTTP/1.1\r\n", "WEFT_H1_BAD_VERSION"],
    ["a space behind the version", "GET / HTTP/1.1 \r\n", "WEFT_H1_BAD_VERSION"],
    ["no version (HTTP/0.9)", "GET /\r\n", "WEFT_H1_BAD_VERSION"],
    ["HTTP/2.0", "PRI * HTTP/2.0\r\n", "WEFT_H1_BAD_VERSION"],
    ["HTTP/1.2", "GET / HTTP/1.2\r\n", "WEFT_H1_BAD_VERSION"],
    ["HTTP/1.10", "GET / HTTP/1.10\r\n", "WEFT_H1_BAD_VERSION"],
    ["http in lower case", "GET / http/1.1\r\n", "WEFT_H1_BAD_VERSION"],
    ["LF alone", "GET / HTTP/1.1\n", "WEFT_H1_BARE_LF"],
    ["LF alone behind the target", "GET /\n", "WEFT_H1_BARE_LF"],
    ["CR alone", "GET / HTTP/1.1\rX", "WEFT_H1_BARE_CR"],
    ["CR alone in the target", "GET /\rX HTTP/1.1\r\n", "WEFT_H1_BARE_CR"],
    ["NUL in the target", "GET /\0 HTTP/1.1\r\n", "WEFT_H1_BAD_TARGET"],
    ["a byte above 127 in the target", "GET /\xe9 HTTP/1.1\r\n", "WEFT_H1_BAD_TARGET"],
    ["a fragment", "GET /a#b HTTP/1.1\r\n", "WEFT_H1_BAD_TARGET"],
    ["a target without slash", "GET a HTTP/1.1\r\n", "WEFT_H1_BAD_TARGET"],
    ["a TLS record", "\x16\x03\x01\x02\0", "WEFT_H1_BAD_METHOD"],
  ];
  for (const [what, text, code] of refused) {
    it(`refuses ${what}`, () => refuses(text, code));
  }

  it("skips a few empty lines before it (section 2.2)", () => {
    const bytes = bytesOf("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const { buffer, start } = poisoned(bytes);
    const head = new MessageHead();
    const size = new RequestHeadParser(LIMITS).parse(buffer, start, start + bytes.length, head);
    assert.equal(size, bytes.length);
    assert.equal(head.start, start + 4);
    assert.equal(head.size, bytes.length - 4);
    assert.equal(head.text(0, head.methodEnd), "GET");
    assert.deepEqual(parseBytewise("request", bytes), parseWhole("request", bytes));
  });

  it("says that no request has begun while only empty lines are there", () => {
    const parser = new RequestHeadParser(LIMITS);
    const bytes = bytesOf("\r\n\r\nG");
    assert.equal(parser.parse(bytes, 0, 3, new MessageHead()), 0);
    assert.equal(parser.isBlank, true);
    assert.equal(parser.parse(bytes, 0, 5, new MessageHead()), 0);
    assert.equal(parser.isBlank, false);
  });

  it("refuses more than four empty lines", () => refuses("\r\n".repeat(5), "WEFT_H1_BAD_METHOD"));
  it("refuses an empty line that is LF alone", () => refuses("\nGET / HTTP/1.1\r\n", "WEFT_H1_BARE_LF"));
  it("refuses an empty line that is CR alone", () => refuses("\rGET / HTTP/1.1\r\n", "WEFT_H1_BARE_CR"));
});

describe("target forms (RFC 9112 section 3.2)", () => {
  it("takes the authority from Host in origin-form", () => {
    const head = accepts(get("Host: web.shop:80\r\n"));
    assert.deepEqual([head.authorityStart, head.authorityEnd], [22, 33]);
    assert.equal(head.hostIndex, 0);
  });

  it("takes the authority from an absolute-form target, not from Host", () => {
    const head = accepts(get("Host: other\r\n", "1.1", "HTTP://web:8080/p?q"));
    assert.equal(head.isAbsolute, true);
    assert.deepEqual([head.authorityStart, head.authorityEnd, head.pathStart], [11, 19, 19]);
    assert.equal(head.hasHost, true);
  });

  for (const target of ["http://a", "http://a?q", "http://a/", "http://[::1]:80/x", "http://a:/"]) {
    it(`accepts ${target}`, () => assert.equal(accepts(get("Host: a\r\n", "1.1", target)).isAbsolute, true));
  }
  it("accepts * for OPTIONS", () => assert.equal(accepts("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").isAbsolute, false));
  it("accepts authority-form for CONNECT, and routes by it", () => {
    const head = accepts("CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n");
    assert.equal(head.method, Method.connect);
    assert.deepEqual([head.authorityStart, head.authorityEnd], [8, 13]);
  });

  const refused: readonly [string, string][] = [
    ["* for GET", "GET *"],
    ["OPTIONS **", "OPTIONS **"],
    ["https", "GET https://a/"],
    ["another scheme", "GET ftp://a/"],
    ["an empty authority", "GET http:///a"],
    ["an authority that is only a scheme", "GET http://"],
    ["an authority that is only a port", "GET http://:80/"],
    ["userinfo", "GET http://u@a/"],
    ["userinfo with password", "GET http://u:p@a/"],
    ["a backslash in the authority", "GET http://a\\b/"],
    ["a port above 65535", "GET http://a:65536/"],
    ["two hosts", "GET http://a,b/"],
    ["broken percent-encoding in the host", "GET http://a%2/"],
    ["an authority-form target for GET", "GET a:80"],
    ["CONNECT without port", "CONNECT a"],
    ["CONNECT with an empty port", "CONNECT a:"],
    ["CONNECT to port 0", "CONNECT a:0"],
    ["CONNECT with a path", "CONNECT /"],
    ["CONNECT with a URL", "CONNECT http://a:80/"],
  ];
  for (const [what, line] of refused) {
    it(`refuses ${what}`, () => refuses(`${line} HTTP/1.1\r\nHost: a\r\n\r\n`, "WEFT_H1_BAD_TARGET"));
  }
});

describe("fields (RFC 9112 section 5)", () => {
  it("records each field with white space trimmed", () => {
    const head = accepts(get("Host: a\r\nX-A:b\r\nX-B: \t c d\t \r\nX-C:\r\nX-D:   \r\nX-E: \xe9\r\n"));
    assert.deepEqual(head.fields, [
      ["Host", "a", FieldId.host, 0],
      ["X-A", "b", 0, 0],
      ["X-B", "c d", 0, 0],
      ["X-C", "", 0, 0],
      ["X-D", "", 0, 0],
      ["X-E", "\xe9", 0, 0],
    ]);
    assert.equal(head.hasEdits, false);
  });

  const refused: readonly [string, string, string][] = [
    ["an empty name", ": a\r\n", "WEFT_H1_BAD_FIELD_NAME"],
    ["a space before the colon", "X : a\r\n", "WEFT_H1_BAD_FIELD_NAME"],
    ["a tab before the colon", "X\t: a\r\n", "WEFT_H1_BAD_FIELD_NAME"],
    ["a separator in the name", "X(y): a\r\n", "WEFT_H1_BAD_FIELD_NAME"],
    ["NUL in the name", "X\0: a\r\n", "WEFT_H1_BAD_FIELD_NAME"],
    ["a byte above 127 in the name", "X\xe9: a\r\n", "WEFT_H1_BAD_FIELD_NAME"],
    ["no colon", "Xyz\r\n", "WEFT_H1_MISSING_COLON"],
    ["NUL in the value", "X: a\0b\r\n", "WEFT_H1_BAD_FIELD_VALUE"],
    ["DEL in the value", "X: a\x7fb\r\n", "WEFT_H1_BAD_FIELD_VALUE"],
    ["a vertical tab in the value", "X: a\x0bb\r\n", "WEFT_H1_BAD_FIELD_VALUE"],
    ["LF alone behind the value", "X: a\n", "WEFT_H1_BARE_LF"],
    ["LF alone in the name", "X\n", "WEFT_H1_BARE_LF"],
    ["LF alone as the empty line", "\n", "WEFT_H1_BARE_LF"],
    ["CR alone in the value", "X: a\rb\r\n", "WEFT_H1_BARE_CR"],
    ["CR CR LF", "X: a\r\r\n", "WEFT_H1_BARE_CR"],
    ["CR alone in the name", "X\rY: a\r\n", "WEFT_H1_BARE_CR"],
    ["CR alone as the empty line", "\rX", "WEFT_H1_BARE_CR"],
    ["obs-fold (section 5.2)", "X: a\r\n b\r\n", "WEFT_H1_OBS_FOLD"],
    ["obs-fold by a tab", "X: a\r\n\tb\r\n", "WEFT_H1_OBS_FOLD"],
    ["a folded line of white space only", "X: a\r\n \r\n", "WEFT_H1_OBS_FOLD"],
  ];
  for (const [what, lines, code] of refused) {
    it(`refuses ${what}`, () => refuses(get(`Host: a\r\n${lines}`), code));
  }
  it("refuses white space before the first field (section 2.2)", () => refuses(get(" Host: a\r\n"), "WEFT_H1_OBS_FOLD"));

  it("reports a bad line when it is complete, without the rest of the head", () => {
    refuses("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n", "WEFT_H1_BAD_CONTENT_LENGTH");
  });

  it("waits for the rest of a head at every byte", () => {
    const text = get("Host: a\r\nX: y\r\n");
    for (let i = 0; i < text.length; i++) {
      assert.equal(parseWhole("request", bytesOf(text.slice(0, i))).result, "incomplete", `${i} bytes`);
    }
  });
});

describe("Host (RFC 9112 section 3.2)", () => {
  for (const host of ["", "a", "a:80", "a:", "127.0.0.1:1", "[::1]", "[2001:db8::1]:65535", "a_b.c~d", "a%20b", "xn--bcher-kva.example"]) {
    it(`accepts "${host}"`, () => assert.equal(accepts(get(`Host: ${host}\r\n`)).hasHost, true));
  }
  const bad = [
    "a b",
    "a,b",
    "a/b",
    "u@a",
    "a:b",
    "a:65536",
    "a:000080",
    "a:80:80",
    ":80",
    "[::1",
    "::1",
    "[]",
    "[fe80::1%25eth0]",
    "[v1.x]",
    "a\\b",
    "a%zz",
    "é",
  ];
  for (const host of bad) {
    it(`refuses "${host}"`, () => refuses(get(`Host: ${host}\r\n`), "WEFT_H1_BAD_HOST"));
  }
  it("refuses a second one, also the same", () => refuses(get("Host: a\r\nHost: a\r\n"), "WEFT_H1_BAD_HOST"));
  it("refuses its absence in HTTP/1.1", () => refuses(get("X: a\r\n"), "WEFT_H1_BAD_HOST"));
  it("refuses its absence in HTTP/1.1 in absolute-form too", () => refuses(get("", "1.1", "http://a/"), "WEFT_H1_BAD_HOST"));
  it("does without it in HTTP/1.0", () => {
    const head = accepts(get("", "1.0"));
    assert.equal(head.hasHost, false);
    assert.equal(head.hostIndex, -1);
    assert.deepEqual([head.authorityStart, head.authorityEnd], [0, 0]);
  });
});

describe("framing of requests (RFC 9112 section 6)", () => {
  it("finds no body without a field", () => assert.equal(accepts(post("")).framing, Framing.none));
  it("finds no body in Content-Length: 0", () => {
    const head = accepts(post("Content-Length: 0\r\n"));
    assert.equal(head.framing, Framing.none);
    assert.equal(head.contentLength, 0);
  });
  it("reads Content-Length", () => {
    const head = accepts(post("content-length: 4711\r\n"));
    assert.equal(head.framing, Framing.length);
    assert.equal(head.contentLength, 4711);
    assert.equal(head.hasEdits, false);
  });
  it("reads the largest length that is exact", () => {
    assert.equal(accepts(post(`Content-Length: ${Number.MAX_SAFE_INTEGER}\r\n`)).contentLength, Number.MAX_SAFE_INTEGER);
  });
  it("reads chunked in any case", () => {
    const head = accepts(post("Transfer-Encoding: Chunked\r\n"));
    assert.equal(head.framing, Framing.chunked);
    assert.equal(head.isChunked, true);
    assert.equal(head.hasEdits, true);
  });

  for (const value of [
    "",
    "-1",
    "+1",
    "1,1",
    "5, 5",
    "5 5",
    "0x10",
    "1e3",
    "1.0",
    "9007199254740992",
    "99999999999999999999",
    "٣",
    '"5"',
  ]) {
    it(`refuses Content-Length "${value}"`, () => refuses(post(`Content-Length: ${value}\r\n`), "WEFT_H1_BAD_CONTENT_LENGTH"));
  }
  for (const value of [
    "",
    "identity",
    "gzip",
    "gzip, chunked",
    "chunked, chunked",
    "chunked,",
    ",chunked",
    "chunked;q=1",
    "xchunked",
    "chunked\x0b",
  ]) {
    const code = value.includes("\x0b") ? "WEFT_H1_BAD_FIELD_VALUE" : "WEFT_H1_BAD_TRANSFER_ENCODING";
    it(`refuses Transfer-Encoding ${JSON.stringify(value)}`, () => refuses(post(`Transfer-Encoding: ${value}\r\n`), code));
  }
  it("refuses differing lengths", () => refuses(post("Content-Length: 1\r\nContent-Length: 2\r\n"), "WEFT_H1_BAD_CONTENT_LENGTH"));
  it("refuses a repeated length", () => refuses(post("Content-Length: 1\r\nContent-Length: 1\r\n"), "WEFT_H1_BAD_CONTENT_LENGTH"));
  it("refuses two codings", () =>
    refuses(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "WEFT_H1_BAD_TRANSFER_ENCODING"));
  it("refuses Content-Length with Transfer-Encoding (section 6.1)", () =>
    refuses(post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), "WEFT_H1_LENGTH_WITH_CODING"));
  it("refuses Transfer-Encoding with Content-Length", () =>
    refuses(post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), "WEFT_H1_LENGTH_WITH_CODING"));
  it("refuses Content-Length: 0 with Transfer-Encoding", () =>
    refuses(post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), "WEFT_H1_LENGTH_WITH_CODING"));
  it("refuses Transfer-Encoding in HTTP/1.0 (section 6.1)", () =>
    refuses("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "WEFT_H1_BAD_TRANSFER_ENCODING"));
  it("refuses a body announced with CONNECT (RFC 9110 section 9.3.6)", () => {
    refuses("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", "WEFT_H1_BAD_CONTENT_LENGTH");
    refuses("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "WEFT_H1_BAD_TRANSFER_ENCODING");
  });
});

describe("Connection, Upgrade, Expect (RFC 9110 sections 7.6.1, 7.8, 10.1.1)", () => {
  it("reads close and keep-alive in any case", () => {
    assert.equal(accepts(get("Host: a\r\nConnection: Close\r\n")).saysClose, true);
    assert.equal(accepts(get("Connection: Keep-Alive\r\n", "1.0")).saysKeepAlive, true);
  });
  it("reads options from several fields and lists with empty elements", () => {
    const head = accepts(get("Host: a\r\nConnection: , close ,\tX-a\r\nX-A: 1\r\nx-b: 2\r\nConnection:keep-alive,x-B\r\nX-C: 3\r\n"));
    assert.equal(head.saysClose, true);
    assert.equal(head.saysKeepAlive, true);
    assert.deepEqual(
      (head.fields as unknown[][]).map((field) => field[3]),
      [0, 0, 1, 1, 0, 0],
    );
    assert.equal(head.hasEdits, true);
  });
  it("marks a field that stands before the Connection field", () => {
    const head = accepts(get("Host: a\r\nX-A: 1\r\nConnection: x-a\r\n"));
    assert.deepEqual(
      (head.fields as unknown[][]).map((field) => field[3]),
      [0, 1, 0],
    );
  });
  it("does not take the start of a name for the name", () => {
    const head = accepts(get("Host: a\r\nX-Ab: 1\r\nConnection: x-a\r\nX-A: 2\r\n"));
    assert.deepEqual(
      (head.fields as unknown[][]).map((field) => field[3]),
      [0, 0, 0, 1],
    );
  });
  for (const value of ["content-length", "Transfer-Encoding", "close, HOST", "expect", "a b", "close;x", "a\x22b", "(close)", "a/b"]) {
    it(`refuses Connection: ${value}`, () => refuses(get(`Host: a\r\nConnection: ${value}\r\n`), "WEFT_H1_BAD_CONNECTION"));
  }
  it("refuses more than 16 options, over all fields", () => {
    const options = Array.from({ length: 9 }, (_, i) => `x${i}`).join(",");
    assert.equal(accepts(get(`Host: a\r\nConnection: ${options}\r\n`)).hasEdits, true);
    refuses(get(`Host: a\r\nConnection: ${options}\r\nConnection: ${options}\r\n`), "WEFT_H1_BAD_CONNECTION");
  });
  it("accepts an empty Connection field", () => assert.equal(accepts(get("Host: a\r\nConnection: \r\n")).saysClose, false));

  it("sees an upgrade", () => {
    const head = accepts(get("Host: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
    assert.equal(head.saysUpgrade, true);
    assert.equal(head.hasUpgrade, true);
  });
  it("accepts Upgrade without the option: it is dropped", () => {
    const head = accepts(post("Upgrade: websocket\r\nContent-Length: 1\r\n"));
    assert.equal(head.saysUpgrade, false);
    assert.equal(head.hasUpgrade, true);
  });
  it("refuses an upgrade with a body", () =>
    refuses(post("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n"), "WEFT_H1_BAD_UPGRADE"));
  it("accepts an upgrade with an empty body", () =>
    assert.equal(accepts(post("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n")).hasUpgrade, true));
  it("forgets an upgrade in HTTP/1.0", () => {
    const head = accepts(get("Connection: upgrade\r\nUpgrade: websocket\r\n", "1.0"));
    assert.equal(head.saysUpgrade, false);
    assert.equal(head.hasUpgrade, false);
  });
  for (const value of ["h2c", "websocket, H2C", "h2c/1"]) {
    it(`forgets an upgrade to ${value}: no HTTP/2 behind our back`, () => {
      const head = accepts(get(`Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: ${value}\r\nHTTP2-Settings: AA\r\n`));
      assert.equal(head.saysUpgrade, false);
      assert.equal(head.hasUpgrade, false);
    });
  }

  it("sees Expect: 100-continue in any case", () => {
    assert.equal(accepts(post("Expect: 100-Continue\r\nContent-Length: 1\r\n")).expectsContinue, true);
  });
  it("ignores it in HTTP/1.0", () => {
    assert.equal(accepts("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").expectsContinue, false);
  });
  for (const value of ["", "200-ok", "100-continue, 100-continue", "100-continue;q=1"]) {
    it(`refuses Expect: ${value}`, () => refuses(post(`Expect: ${value}\r\n`), "WEFT_H1_BAD_EXPECT"));
  }
  it("refuses two of it", () => refuses(post("Expect: 100-continue\r\nExpect: 100-continue\r\n"), "WEFT_H1_BAD_EXPECT"));
});

describe("limits", () => {
  const small = { headerBytesMax: 64, headerCountMax: 3 };

  it("accepts a head of exactly headerBytesMax and refuses one byte more", () => {
    const head = (filler: number) => get(`Host: a\r\nX: ${"y".repeat(filler)}\r\n`);
    const fit = 64 - head(0).length;
    assert.equal(parse(head(fit), small).result, "64");
    refuses(head(fit + 1), "WEFT_H1_HEAD_TOO_LARGE", small);
  });
  it("does not count empty lines before the request", () => {
    const head = get(`Host: a\r\nX: ${"y".repeat(64 - get("Host: a\r\nX: \r\n").length)}\r\n`);
    assert.equal(parse(`\r\n${head}`, small).result, "66");
  });
  it("calls a request line that is too long by its own name", () =>
    refuses(`GET /${"a".repeat(80)} HTTP/1.1\r\n`, "WEFT_H1_TARGET_TOO_LONG", small));
  it("finds an error before the limit first", () => refuses(get(`Host: a\r\nX\0: ${"y".repeat(80)}\r\n`), "WEFT_H1_BAD_FIELD_NAME", small));
  it("finds the limit before an error behind it", () =>
    refuses(get(`Host: a\r\nX: ${"y".repeat(80)}\0\r\n`), "WEFT_H1_HEAD_TOO_LARGE", small));
  it("accepts headerCountMax fields and refuses one more", () => {
    assert.equal(parse(get("Host: a\r\nA: 1\r\nB: 2\r\n"), small).result, String(get("Host: a\r\nA: 1\r\nB: 2\r\n").length));
    refuses(get("Host: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n"), "WEFT_H1_TOO_MANY_FIELDS", small);
  });
  it("never takes more fields than the tables hold", () => {
    const lines = "A: 1\r\n".repeat(256);
    refuses(get(`Host: a\r\n${lines}`), "WEFT_H1_TOO_MANY_FIELDS", { headerBytesMax: 32 * 1024, headerCountMax: 1000 });
  });
});

describe("resuming", () => {
  const text =
    "POST http://h:1/p?q HTTP/1.1\r\nHost: other\r\nConnection: x-y, upgrade\r\nX-Y: \t z \r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n";

  it("comes to the same at each two-way split, the buffer moving between the reads", () => {
    const bytes = bytesOf(text);
    const whole = parseWhole("request", bytes);
    assert.equal(whole.result, String(text.length));
    for (let i = 0; i <= bytes.length; i++) assert.deepEqual(parseSplit("request", bytes, [i]), whole, `split at ${i}`);
  });
  it("stops at the end of the head, whatever follows", () => {
    const bytes = bytesOf(`${text}GET / HTTP/1.1\r\n\r\n`);
    assert.equal(parseWhole("request", bytes).result, String(text.length));
  });
  it("parses one message after another after reset", () => {
    const parser = new RequestHeadParser(LIMITS);
    const head = new MessageHead();
    const first = bytesOf(get("Host: a\r\nConnection: close, x\r\nX: 1\r\n"));
    const second = bytesOf(get("Host: bb\r\nX: 1\r\n"));
    const both = Buffer.concat([first, second]);
    assert.equal(parser.parse(both, 0, both.length, head), first.length);
    assert.equal(head.named[2], 1);
    parser.reset();
    assert.equal(parser.parse(both, first.length, both.length, head), second.length);
    assert.equal(head.saysClose, false);
    assert.equal(head.count, 2);
    assert.equal(head.named[1], 0);
    assert.equal(head.text(head.authorityStart, head.authorityEnd), "bb");
  });
  it("forgets a message that was broken off", () => {
    const parser = new RequestHeadParser(LIMITS);
    const head = new MessageHead();
    const broken = bytesOf("POST /long/target HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-");
    assert.equal(parser.parse(broken, 0, broken.length, head), 0);
    parser.reset();
    const next = bytesOf(get("Host: b\r\n"));
    assert.equal(parser.parse(next, 0, next.length, head), next.length);
    assert.equal(head.contentLength, -1);
    assert.equal(head.count, 1);
  });
});
