// The raw HTTP/2 ends against Node's own HTTP/2 (both ways, over TCP and TLS), and HPACK against the RFC's examples.

import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { continuation, data, ErrorCode, FrameSplitter, FrameType, goaway, headers, rstStream, settings } from "./h2-frames.ts";
import { block, type Fields, HpackDecoder, indexed, integer, literal, tableSizeUpdate } from "./h2-hpack.ts";
import { EOS, huffmanBits, huffmanDecode, huffmanEncode } from "./h2-huffman.ts";
import { H2Peer } from "./h2-peer.ts";
import { H2Server, testCertificate } from "./h2-server.ts";

const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "web"],
];

async function withNodeServer(tls: boolean, run: (port: number) => Promise<void>): Promise<void> {
  const server = tls ? http2.createSecureServer(testCertificate()) : http2.createServer();
  server.on("stream", (stream, fields) => {
    stream.respond({ ":status": 200, "x-method": String(fields[":method"]), "set-cookie": ["a=1", "b=2"] });
    stream.pipe(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await run((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

for (const tls of [false, true]) {
  const name = tls ? "over TLS with ALPN" : "with prior knowledge";
  describe(`a raw client and node:http2, ${name}`, () => {
    it("exchanges SETTINGS, sends a request in pieces, gets its echo", async () => {
      await withNodeServer(tls, async (port) => {
        const peer = await H2Peer.open({ port, tls });
        const request = block([[":method", "POST"], ...GET.slice(1)]);
        peer.send(headers(1, request.subarray(0, 7), { endHeaders: false }), continuation(1, request.subarray(7)));
        peer.send(data(1, "ab", { padding: 9 }), data(1, "cd", { endStream: true }));
        const { fields } = await peer.expectHeaders(1);
        assert.deepEqual(
          fields.filter(([field]) => field !== "date"),
          [
            [":status", "200"],
            ["x-method", "POST"],
            ["set-cookie", "a=1"],
            ["set-cookie", "b=2"],
          ],
        );
        let echo = "";
        while (echo.length < 4) echo += (await peer.expectType(FrameType.DATA, 1)).payload.toString("latin1");
        assert.equal(echo, "abcd");
        peer.destroy();
      });
    });
  });

  describe(`node:http2 and a raw server, ${name}`, () => {
    it("answers with interim, final and trailing fields, and refuses a stream", async () => {
      const server = await H2Server.start(
        async (peer) => {
          await peer.accept([[0x3, 100]]);
          const { fields } = await peer.expectHeaders(1);
          assert.equal(fields.find(([field]) => field === ":path")?.[1], "/first");
          peer.send(headers(1, block([[":status", "103"]])), headers(1, block([[":status", "200"]])));
          peer.send(data(1, "body"), headers(1, block([["x-sum", "4"]]), { endStream: true }));
          await peer.expectHeaders(3);
          peer.send(rstStream(3, ErrorCode.REFUSED_STREAM), goaway(1));
        },
        { tls },
      );
      const session = http2.connect(`${tls ? "https" : "http"}://127.0.0.1:${server.port}`, { rejectUnauthorized: false });
      const first = session.request({ ":path": "/first" });
      const interim = once(first, "headers");
      const trailers = once(first, "trailers");
      let body = "";
      first.on("data", (chunk: Buffer) => {
        body += chunk.toString("latin1");
      });
      assert.equal((await interim)[0][":status"], 103);
      assert.equal((await trailers)[0]["x-sum"], "4");
      assert.equal(body, "body");
      const second = session.request({ ":path": "/second" });
      const [error] = await once(second, "error");
      assert.match(error.message, /REFUSED_STREAM/);
      session.destroy();
      await server.stop();
      assert.deepEqual(server.errors, []);
    });
  });
}

it("a failed expectation names the frames that came", async () => {
  await withNodeServer(false, async (port) => {
    const peer = await H2Peer.open({ port });
    await assert.rejects(
      peer.expect("a miracle", () => false, 1),
      /waited 1 ms for a miracle; the last frames were .*SETTINGS/,
    );
    peer.send(data(0, "not here"));
    await assert.rejects(peer.expectHeaders(1), /closed .* while waiting for a header block on stream 1; .*GOAWAY.*PROTOCOL_ERROR/);
  });
});

it("a server refuses what is not the preface", async () => {
  const server = await H2Server.start(async (peer) => peer.accept());
  const peer = await H2Peer.connect({ port: server.port });
  peer.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
  await peer.expectClosed();
  await server.stop();
  assert.match(server.errors[0]!.message, /not the preface/);
});

it("frames come out the same however their bytes are cut", () => {
  const bytes = Buffer.concat([settings([0x4, 1]), headers(1, block(GET)), data(1, "x".repeat(300)), goaway(1, 2, "why")]);
  const whole = new FrameSplitter().push(bytes);
  assert.equal(whole.length, 4);
  for (let at = 0; at <= bytes.length; at++) {
    const splitter = new FrameSplitter();
    assert.deepEqual([...splitter.push(bytes.subarray(0, at)), ...splitter.push(bytes.subarray(at))], whole);
  }
});

describe("HPACK of the tests", () => {
  it("writes integers as RFC 7541 C.1 does", () => {
    assert.deepEqual([...integer(10, 5)], [0x0a]);
    assert.deepEqual([...integer(1337, 5)], [0x1f, 0x9a, 0x0a]);
    assert.deepEqual([...integer(42, 8)], [0x2a]);
  });

  it("decodes three requests with Huffman and a growing table (RFC 7541 C.4)", () => {
    const decoder = new HpackDecoder();
    const hex = (text: string): Fields => decoder.decode(Buffer.from(text, "hex"));
    const common = [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "www.example.com"],
    ];
    assert.deepEqual(hex("828684418cf1e3c2e5f23a6ba0ab90f4ff"), common);
    assert.deepEqual(hex("828684be5886a8eb10649cbf"), [...common, ["cache-control", "no-cache"]]);
    assert.deepEqual(hex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"), [
      [":method", "GET"],
      [":scheme", "https"],
      [":path", "/index.html"],
      [":authority", "www.example.com"],
      ["custom-key", "custom-value"],
    ]);
  });

  it("evicts as the RFC counts (RFC 7541 4.1, 4.4)", () => {
    const decoder = new HpackDecoder();
    const insert = (name: string): Buffer => literal("with incremental indexing", name, "v");
    decoder.decode(Buffer.concat([tableSizeUpdate(68), insert("a"), insert("b")]));
    assert.deepEqual(decoder.decode(Buffer.concat([indexed(62), indexed(63)])), [
      ["b", "v"],
      ["a", "v"],
    ]);
    decoder.decode(insert("c"));
    assert.deepEqual(decoder.decode(indexed(63)), [["b", "v"]]);
    assert.throws(() => decoder.decode(indexed(64)), /index 64/);
  });

  for (const [what, bytes] of [
    ["index 0", indexed(0)],
    ["an index that is not there", indexed(62)],
    ["a size update behind a field", Buffer.concat([indexed(2), tableSizeUpdate(0)])],
    ["a size update beyond the limit", tableSizeUpdate(4097)],
    ["a block that ends early", Buffer.from([0x40])],
    ["an endless integer", Buffer.from([0x7f, 255, 255, 255, 255, 255, 1])],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => new HpackDecoder().decode(bytes), /RFC 7541/);
    });
  }

  it("Huffman codes every octet and back; refuses EOS and wrong padding (RFC 7541 5.2)", () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet)).toString("latin1");
    assert.equal(huffmanDecode(huffmanEncode(all)), all);
    assert.equal(huffmanEncode("www.example.com").toString("hex"), "f1e3c2e5f23a6ba0ab90f4ff");
    assert.throws(() => huffmanDecode(huffmanBits([EOS])), /EOS/);
    assert.throws(() => huffmanDecode(huffmanBits([0x61], "0")), /not all ones/);
    assert.throws(() => huffmanDecode(Buffer.concat([huffmanEncode("a"), Buffer.from([0xff])])), /seven bits/);
  });
});
