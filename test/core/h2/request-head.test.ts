import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { ERRORS } from "../../../src/core/errors/error-codes.ts";
import { requestHeadRoom, writeRequestHead } from "../../../src/core/h1/serialize.ts";
import { Framing, Method } from "../../../src/core/http/head.ts";
import { MALFORMED, WELL_FORMED } from "../../../src/core/h2/field-rules.ts";
import { headText } from "../../support/h2-engine.ts";
import { h1Request } from "../../support/h1-heads.ts";
import type { Fields } from "../../support/h2-hpack.ts";
import { facts, readRequest, scratch } from "./heads.ts";

const METHOD = [":method", "GET"] as const;
const SCHEME = [":scheme", "https"] as const;
const PATH = [":path", "/a/b?c=d"] as const;
const AUTHORITY = [":authority", "web.shop:8080"] as const;
const GET: Fields = [METHOD, SCHEME, PATH, AUTHORITY];

/** `GET` with one field in another value, or without it. */
function but(name: string, value: string | null): Fields {
  return GET.filter(([field]) => field !== name || value !== null).map(([field, old]) => [field, field === name ? value! : old]);
}

function assertText(fields: Fields, text: string): void {
  assert.equal(readRequest(fields), WELL_FORMED);
  assert.equal(headText(scratch.head), text);
}

describe("a request's head (RFC 9113 8.3.1)", () => {
  for (const [what, fields] of [
    ["without fields", []],
    [
      "with fields that are known and others",
      [
        ["accept", "*/*"],
        ["date", "now"],
        ["via", "1.1 a"],
        ["x-forwarded-for", "1.2.3.4"],
        ["te", "trailers"],
      ],
    ],
    [
      "with a length",
      [
        ["content-length", "0"],
        ["x", ""],
      ],
    ],
    [
      "with an expectation",
      [
        ["expect", "100-continue"],
        ["l5d-dst-override", "web"],
      ],
    ],
  ] as const satisfies readonly (readonly [string, Fields])[]) {
    it(`${what} says what an HTTP/1.1 parser reads in its text`, () => {
      assert.equal(readRequest([...GET, ...fields]), WELL_FORMED);
      const expected = facts(h1Request(headText(scratch.head)));
      // HTTP/1 has one more reason for edits: a TE has to be named by Connection.
      assert.deepEqual(facts(scratch.head), expected);
      assert.equal(scratch.head.version, 20);
    });
  }

  it("takes its pseudo-header fields in any order", () => {
    const text = "GET /a/b?c=d HTTP/1.1\r\nHost: web.shop:8080\r\n\r\n";
    assertText([...GET].reverse(), text);
    assertText([PATH, AUTHORITY, METHOD, SCHEME], text);
  });

  it("takes every length of what stands in front of the lines", () => {
    for (let size = 1; size < 200; size += 7) {
      const path = `/${"p".repeat(size)}`;
      const authority = "a".repeat(size);
      assertText(
        [METHOD, SCHEME, [":path", path], [":authority", authority], ["x", "y"]],
        `GET ${path} HTTP/1.1\r\nHost: ${authority}\r\nx: y\r\n\r\n`,
      );
    }
  });

  it("takes Host alone as the authority", () => {
    assertText([METHOD, SCHEME, PATH, ["x", "y"], ["host", "web"]], "GET /a/b?c=d HTTP/1.1\r\nx: y\r\nhost: web\r\n\r\n");
    const { head } = scratch;
    assert.equal(head.hostIndex, 1);
    assert.equal(head.text(head.authorityStart, head.authorityEnd), "web");
  });

  it("takes Host beside the same :authority, in any case, once", () => {
    assertText([...GET, ["host", "WEB.shop:8080"]], "GET /a/b?c=d HTTP/1.1\r\nhost: WEB.shop:8080\r\n\r\n");
  });

  it("joins cookie crumbs where the first of them stands (RFC 9113 8.2.3)", () => {
    const fields: Fields = [...GET, ["cookie", "a=1"], ["x", "y"], ["cookie", "b=2"], ["cookie", "c=3"], ["z", "w"]];
    assertText(fields, "GET /a/b?c=d HTTP/1.1\r\nHost: web.shop:8080\r\ncookie: a=1; b=2; c=3\r\nx: y\r\nz: w\r\n\r\n");
    assert.deepEqual(facts(scratch.head), facts(h1Request(headText(scratch.head))));
  });

  it("keeps never-indexed fields apart, also behind joined cookies", () => {
    const fields: Fields = [...GET, ["x-a", "1"], ["cookie", "a=1"], ["cookie", "b=2"], ["x-key", "secret"]];
    assert.equal(readRequest(fields, { neverIndexed: ["x-key", "cookie", ":path"] }), WELL_FORMED);
    const { head } = scratch;
    assert.ok(head.hasNeverIndexed);
    assert.deepEqual([...head.fieldFlags.subarray(0, head.count)], [0, 0, 1, 1]);
    assert.equal(head.targetFlags, 1);
    assert.equal(readRequest(GET), WELL_FORMED);
    assert.ok(!scratch.head.hasNeverIndexed, "the next head has none");
  });

  it("knows how its body ends", () => {
    readRequest(GET, { isEnd: true });
    assert.equal(scratch.head.framing, Framing.none);
    readRequest(GET, { isEnd: false });
    assert.equal(scratch.head.framing, Framing.chunked);
    readRequest([...GET, ["content-length", "12"]], { isEnd: false });
    assert.equal(scratch.head.framing, Framing.length);
    assert.equal(scratch.head.contentLength, 12);
  });

  it("is written for an HTTP/1.1 upstream as any other head", () => {
    const fields: Fields = [
      ...GET,
      ["cookie", "a=1"],
      ["te", "trailers"],
      ["cookie", "b=2"],
      ["l5d-client-id", "me"],
      ["x-forwarded-for", "1.1.1.1"],
    ];
    assert.equal(readRequest(fields), WELL_FORMED);
    const options = {
      hostFallback: null,
      upgrade: false,
      forwardedFor: Buffer.from("9.9.9.9"),
      via: Buffer.from("weft"),
      clientId: Buffer.from("web.shop"),
    };
    const out = Buffer.alloc(requestHeadRoom(scratch.head));
    const text = out.toString("latin1", 0, writeRequestHead(scratch.head, out, 0, options));
    assert.equal(
      text,
      "GET /a/b?c=d HTTP/1.1\r\nHost: web.shop:8080\r\ncookie: a=1; b=2\r\nte: trailers\r\nx-forwarded-for: 1.1.1.1, 9.9.9.9\r\n" +
        "Connection: TE\r\nl5d-client-id: web.shop\r\nVia: 2.0 weft\r\n\r\n",
    );
    h1Request(text);
  });

  it("is `*` for OPTIONS of a whole server", () => {
    assertText([[":method", "OPTIONS"], SCHEME, [":path", "*"], AUTHORITY], "OPTIONS * HTTP/1.1\r\nHost: web.shop:8080\r\n\r\n");
    assert.equal(readRequest(but(":path", "*")), MALFORMED);
  });

  it("is a tunnel's for CONNECT (RFC 9113 8.5)", () => {
    assertText(
      [
        [":method", "CONNECT"],
        [":authority", "db:5432"],
      ],
      "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n",
    );
    assert.equal(scratch.head.method, Method.connect);
    assert.equal(
      readRequest([
        [":method", "CONNECT"],
        [":authority", "db"],
      ]),
      MALFORMED,
      "without a port",
    );
    assert.equal(readRequest([[":method", "CONNECT"], ...GET.slice(1)]), MALFORMED, "with :scheme and :path");
    assert.equal(
      readRequest(
        [
          [":method", "CONNECT"],
          [":authority", "db:5432"],
          ["content-length", "1"],
        ],
        { isEnd: false },
      ),
      MALFORMED,
    );
  });

  it("is an upgrade for an extended CONNECT (RFC 8441), if we announced it", () => {
    const fields: Fields = [[":method", "CONNECT"], [":protocol", "websocket"], ...GET.slice(1), ["sec-websocket-version", "13"]];
    assert.equal(readRequest(fields, { isEnd: false }), MALFORMED);
    assert.equal(readRequest(fields, { isEnd: false, takesExtendedConnect: true }), WELL_FORMED);
    const { head } = scratch;
    assert.equal(headText(head), "GET /a/b?c=d HTTP/1.1\r\nHost: web.shop:8080\r\nUpgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n");
    assert.deepEqual([head.method, head.hasUpgrade, head.saysUpgrade, head.framing], [Method.get, true, true, Framing.none]);
    assert.equal(readRequest([...GET, [":protocol", "websocket"]], { takesExtendedConnect: true }), MALFORMED, "GET has no :protocol");
  });

  for (const [why, fields] of [
    ["no :method", but(":method", null)],
    ["a :method that is no token", but(":method", "GE T")],
    ["an empty :method", but(":method", "")],
    ["no :scheme", but(":scheme", null)],
    ["a :scheme that is none", but(":scheme", "ht tp")],
    ["no :path", but(":path", null)],
    ["an empty :path", but(":path", "")],
    ["a :path without a slash", but(":path", "a")],
    ["an absolute :path", but(":path", "http://web/")],
    ["a space in :path", but(":path", "/a b")],
    ["a fragment in :path", but(":path", "/a#b")],
    ["a byte above 127 in :path", but(":path", "/\xe9")],
    ["an empty :authority", but(":authority", "")],
    ["userinfo in :authority", but(":authority", "u@web")],
    ["a port alone as :authority", but(":authority", ":80")],
    [":status", [...GET, [":status", "200"]]],
    ["an unknown pseudo-header field", [...GET, [":x", "y"]]],
    ["a pseudo-header field twice", [...GET, PATH]],
    ["a pseudo-header field behind a field", [METHOD, SCHEME, PATH, ["x", "y"], AUTHORITY]],
    ["Host that differs from :authority", [...GET, ["host", "other"]]],
    ["Host with another port", [...GET, ["host", "web.shop"]]],
    ["two Hosts", [...GET, ["host", "web.shop:8080"], ["host", "web.shop:8080"]]],
    ["capitals in a name", [...GET, ["X", "y"]]],
    ["an empty name", [...GET, ["", "y"]]],
    ["a space in a name", [...GET, ["x y", "z"]]],
    ["CR LF in a value", [...GET, ["x", "y\r\nz: w"]]],
    ["NUL in a value", [...GET, ["x", "\0"]]],
    ["a space around a value", [...GET, ["x", " y"]]],
    ["Connection", [...GET, ["connection", "close"]]],
    ["Keep-Alive", [...GET, ["keep-alive", "timeout=5"]]],
    ["Proxy-Connection", [...GET, ["proxy-connection", "close"]]],
    ["Transfer-Encoding", [...GET, ["transfer-encoding", "chunked"]]],
    ["Upgrade", [...GET, ["upgrade", "h2c"]]],
    ["TE with more than trailers", [...GET, ["te", "trailers, gzip"]]],
    ["two Content-Lengths", [...GET, ["content-length", "0"], ["content-length", "0"]]],
    ["a list as Content-Length", [...GET, ["content-length", "0, 0"]]],
    ["a sign in Content-Length", [...GET, ["content-length", "+0"]]],
    ["an empty Content-Length", [...GET, ["content-length", ""]]],
    ["Content-Length beyond all numbers", [...GET, ["content-length", "9".repeat(30)]]],
    ["Content-Length that END_STREAM belies", [...GET, ["content-length", "1"]]],
  ] as const satisfies readonly (readonly [string, Fields])[]) {
    it(`is malformed with ${why}`, () => {
      assert.equal(readRequest(fields), MALFORMED);
    });
  }

  for (const [why, fields, code] of [
    ["no authority at all", but(":authority", null), "WEFT_H1_BAD_HOST"],
    ["a scheme that is not ours", but(":scheme", "ftp"), "WEFT_H1_BAD_TARGET"],
    ["an expectation that nobody can meet", [...GET, ["expect", "200-maybe"]], "WEFT_H1_BAD_EXPECT"],
    ["a value beyond headerBytesMax", [...GET, ["x", "v".repeat(40_000)]], "WEFT_H1_HEAD_TOO_LARGE"],
    [
      "more fields than headerCountMax",
      [...GET, ...Array.from({ length: 101 }, (_, i) => [`x-${i}`, ""] as const)],
      "WEFT_H1_HEAD_TOO_LARGE",
    ],
  ] as const satisfies readonly (readonly [string, Fields, keyof typeof ERRORS])[]) {
    it(`can be answered with ${why}`, () => {
      assert.equal(readRequest(fields), -ERRORS[code].id);
    });
  }
});
