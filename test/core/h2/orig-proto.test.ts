import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { ERRORS } from "../../../src/core/errors/error-codes.ts";
import { MALFORMED, WELL_FORMED } from "../../../src/core/h2/field-rules.ts";
import { encodeRequestHead, encodeResponseHead, requestBlockRoom, responseBlockRoom } from "../../../src/core/h2/head-encoder.ts";
import { HpackEncoder } from "../../../src/core/hpack/encoder.ts";
import { FIELD_STRIDE, FieldId, Framing, Method } from "../../../src/core/http/head.ts";
import { NO_EDITS } from "../../support/h2-engine.ts";
import { h1Request, h1Response } from "../../support/h1-heads.ts";
import { type Fields, HpackDecoder } from "../../support/h2-hpack.ts";
import { readRequest, readResponse, scratch } from "./heads.ts";

const NAME = "l5d-orig-proto";

function requestFields(text: string, isMesh = true, isUpgrade = false): Fields {
  const head = h1Request(text);
  const out = Buffer.alloc(requestBlockRoom(head));
  const end = encodeRequestHead(new HpackEncoder(), head, NO_EDITS, false, isUpgrade, isMesh, out, 0);
  return new HpackDecoder().decode(out.subarray(0, end));
}

function responseFields(text: string, isOriginal = true, isUpgrade = false): Fields {
  const head = h1Response(text);
  const out = Buffer.alloc(responseBlockRoom(head));
  const end = encodeResponseHead(new HpackEncoder(), head, null, isUpgrade, isOriginal, out, 0);
  return new HpackDecoder().decode(out.subarray(0, end));
}

const saidIn = (fields: Fields): (string | undefined)[] => fields.filter(([name]) => name === NAME).map(([, value]) => value);
const text = (): string => scratch.head.text(0, scratch.head.size);
const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "web"],
];
const CONNECT: Fields = [[":method", "CONNECT"], ...GET.slice(1)];
const MESH = { isMesh: true, takesExtendedConnect: true };

describe("l5d-orig-proto of a request", () => {
  it("says the version, and whether the target was absolute", () => {
    assert.deepEqual(saidIn(requestFields("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), ["HTTP/1.1"]);
    assert.deepEqual(saidIn(requestFields("GET / HTTP/1.0\r\nHost: a\r\n\r\n")), ["HTTP/1.0"]);
    assert.deepEqual(saidIn(requestFields("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")), ["HTTP/1.1; absolute-form"]);
    assert.deepEqual(saidIn(requestFields("GET http://a/ HTTP/1.0\r\n\r\n")), ["HTTP/1.0; absolute-form"]);
  });

  it("is said to nobody outside of the mesh, and never as a client said it", () => {
    const own = "GET / HTTP/1.1\r\nHost: a\r\nL5D-Orig-Proto: HTTP/1.0\r\nl5d_orig_proto: HTTP/1.0\r\n\r\n";
    assert.deepEqual(saidIn(requestFields(own, false)), []);
    assert.deepEqual(saidIn(requestFields(own)), ["HTTP/1.1"]);
  });

  it("is not said of a request that came as HTTP/2, and passes from mesh to mesh", () => {
    for (const [said, expected] of [
      [null, []],
      ["HTTP/1.0", ["HTTP/1.0"]],
    ] as const) {
      assert.equal(readRequest(said === null ? GET : [...GET, [NAME, said]], MESH), WELL_FORMED);
      const out = Buffer.alloc(requestBlockRoom(scratch.head));
      const end = encodeRequestHead(new HpackEncoder(), scratch.head, NO_EDITS, false, false, true, out, 0);
      assert.deepEqual(saidIn(new HpackDecoder().decode(out.subarray(0, end))), expected);
    }
  });

  it("is read on connections of the mesh only", () => {
    for (const [value, version] of [
      ["HTTP/1.1", 11],
      ["HTTP/1.0", 10],
      ["HTTP/1.1; absolute-form", 11],
      ["HTTP/1.0; absolute-form", 10],
    ] as const) {
      assert.equal(readRequest([...GET, [NAME, value]], MESH), WELL_FORMED);
      assert.deepEqual([scratch.head.originalVersion, scratch.head.sentVersion, scratch.head.version], [version, version, 20]);
      assert.equal(readRequest([...GET, [NAME, value]], { takesExtendedConnect: true }), WELL_FORMED);
      assert.deepEqual([scratch.head.originalVersion, scratch.head.sentVersion], [0, 20]);
    }
  });

  for (const value of [
    "",
    "HTTP/2",
    "HTTP/1.1;absolute-form",
    "http/1.1",
    "HTTP/1.1; upgrade=websocket",
    "HTTP/1.1, HTTP/1.1",
    "HTTP/1.2",
    "HTTP/1.",
  ]) {
    it(`refuses ${JSON.stringify(value)}`, () => {
      assert.equal(readRequest([...GET, [NAME, value]], MESH), -ERRORS.WEFT_BAD_ORIG_PROTO.id);
    });
  }

  it("refuses two, and one at CONNECT", () => {
    const bad = -ERRORS.WEFT_BAD_ORIG_PROTO.id;
    assert.equal(readRequest([...GET, [NAME, "HTTP/1.1"], [NAME, "HTTP/1.1"]], MESH), bad);
    const tunnel: Fields = [
      [":method", "CONNECT"],
      [":authority", "web:80"],
    ];
    assert.equal(readRequest(tunnel, { ...MESH, isEnd: false }), WELL_FORMED);
    assert.equal(readRequest([...tunnel, [NAME, "HTTP/1.1"]], { ...MESH, isEnd: false }), bad);
  });
});

describe("an Upgrade between two proxies", () => {
  const ASKED = "GET /chat HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";

  it("is an extended CONNECT with the key, which is the application's to answer", () => {
    const fields = requestFields(ASKED, true, true);
    assert.deepEqual(fields.slice(0, 2), [
      [":method", "CONNECT"],
      [":protocol", "websocket"],
    ]);
    assert.deepEqual(fields.slice(-2), [
      ["sec-websocket-key", "k"],
      [NAME, "HTTP/1.1"],
    ]);
    assert.equal(
      requestFields(ASKED, false, true).some(([name]) => name === "sec-websocket-key" || name === NAME),
      false,
    );
  });

  it("comes out as the Upgrade that it was", () => {
    assert.equal(readRequest(requestFields(ASKED, true, true), { ...MESH, isEnd: false }), WELL_FORMED);
    const { head } = scratch;
    assert.deepEqual([head.method, head.originalVersion, head.hasUpgrade, head.framing], [Method.get, 11, true, Framing.none]);
    assert.match(text(), /^GET \/chat HTTP\/1\.1\r\nHost: web\r\nUpgrade: websocket\r\nsec-websocket-key: k\r\n/);
  });

  it("may ask for any protocol but h2c, and only if a client of HTTP/1.1 asked", () => {
    const read = (protocol: string, said: string | null): number =>
      readRequest([...CONNECT, [":protocol", protocol], ...(said === null ? [] : ([[NAME, said]] as Fields))], { ...MESH, isEnd: false });
    for (const protocol of ["websocket", "TLS/1.3, IRC/6.9", "x"]) assert.equal(read(protocol, "HTTP/1.1"), WELL_FORMED, protocol);
    for (const protocol of ["h2c", "x, h2c", "H2C"]) assert.equal(read(protocol, "HTTP/1.1"), -ERRORS.WEFT_H2_BAD_PROTOCOL.id, protocol);
    for (const said of [null, "HTTP/1.0"]) assert.equal(read("x", said), -ERRORS.WEFT_H2_BAD_PROTOCOL.id);
    assert.equal(read("websocket", "HTTP/1.0"), -ERRORS.WEFT_H2_BAD_PROTOCOL.id);
    for (const protocol of ["", 'a"b', "a;b"]) assert.equal(read(protocol, "HTTP/1.1"), MALFORMED, protocol);
  });
});

describe("l5d-orig-proto of a response", () => {
  it("says what the application answered in", () => {
    assert.deepEqual(saidIn(responseFields("HTTP/1.1 200 OK\r\nl5d-orig-proto: HTTP/1.1; upgrade=x\r\n\r\n")), ["HTTP/1.1"]);
    assert.deepEqual(saidIn(responseFields("HTTP/1.0 404 Not Found\r\n\r\n")), ["HTTP/1.0"]);
    assert.deepEqual(saidIn(responseFields("HTTP/1.1 103 Early Hints\r\n\r\n")), []);
    assert.deepEqual(saidIn(responseFields("HTTP/1.1 200 OK\r\n\r\n", false)), []);
  });

  it("makes the 101 of it that it was, wherever it stands among the fields", () => {
    const answer =
      "HTTP/1.1 101 Switching Protocols\r\nX-A: 1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: z\r\n\r\n";
    const fields = responseFields(answer, true, true);
    assert.deepEqual(fields, [
      [":status", "200"],
      ["x-a", "1"],
      ["sec-websocket-accept", "z"],
      [NAME, "HTTP/1.1; upgrade=websocket"],
    ]);
    const [status, ...rest] = fields;
    for (let at = 0; at < rest.length; at++) {
      const turned: Fields = [status!, ...rest.slice(at), ...rest.slice(0, at)];
      assert.equal(readResponse(turned, { isMesh: true, isUpgrade: true }), WELL_FORMED);
      const { head } = scratch;
      assert.deepEqual([head.status, head.originalVersion, head.hasUpgrade, head.framing], [101, 11, true, Framing.none]);
      const lines = turned.slice(1).map(([name, value]) => (name === NAME ? "Upgrade: websocket" : `${name}: ${value}`));
      assert.equal(text(), `HTTP/1.1 101 Switching Protocols\r\n${lines.join("\r\n")}\r\n\r\n`);
      for (let i = 0; i < head.count; i++) {
        const row = i * FIELD_STRIDE;
        assert.equal(
          `${head.text(head.fields[row]!, head.fields[row + 1]!)}: ${head.text(head.fields[row + 2]!, head.fields[row + 3]!)}`,
          lines[i],
        );
        assert.equal(head.ids[i] === FieldId.upgrade, lines[i] === "Upgrade: websocket");
      }
    }
  });

  it("switches nothing that did not ask, nor with another status, nor outside of the mesh", () => {
    const said: Fields = [[NAME, "HTTP/1.1; upgrade=websocket"]];
    assert.equal(readResponse([[":status", "200"], ...said], { isMesh: true }), MALFORMED);
    assert.equal(readResponse([[":status", "201"], ...said], { isMesh: true, isUpgrade: true }), MALFORMED);
    assert.equal(readResponse([[":status", "200"], ...said, ...said], { isMesh: true, isUpgrade: true }), MALFORMED);
    assert.equal(readResponse([[":status", "200"], ...said], { isUpgrade: true }), WELL_FORMED);
    assert.deepEqual([scratch.head.status, scratch.head.originalVersion], [200, 0]);
  });

  it("leaves an ordinary answer to an Upgrade what it is, length and all", () => {
    const fields = responseFields("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert.equal(readResponse(fields, { isMesh: true, isUpgrade: true }), WELL_FORMED);
    assert.deepEqual([scratch.head.status, scratch.head.contentLength, scratch.head.framing], [200, 5, Framing.length]);
  });

  for (const value of ["", "HTTP/2", "HTTP/1.1; upgrade=", "HTTP/1.1; upgrade=a;b", "HTTP/1.0; upgrade=x", "HTTP/1.1; upgrade"]) {
    it(`refuses ${JSON.stringify(value)}`, () => {
      assert.equal(
        readResponse(
          [
            [":status", "200"],
            [NAME, value],
          ],
          { isMesh: true, isUpgrade: true },
        ),
        MALFORMED,
      );
    });
  }
});
