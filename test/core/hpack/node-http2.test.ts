// Header blocks exchanged with node:http2 (nghttp2's encoder and decoder) over real sockets, in both roles, with tables resized on the way.

import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  sensitiveHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import type { Field } from "./codec.ts";
import { RawH2, RawServer } from "./raw-h2.ts";

/** Each byte that a value may have, in values that Huffman coding shortens and in others; and names of all token bytes. */
const ALL_BYTES: string[] = [];
for (let byte = 0x21; byte <= 0xff; byte++) {
  if (byte !== 0x7f) ALL_BYTES.push(`${String.fromCharCode(byte).repeat(3)}\t ${"e".repeat(byte % 40)}.`);
}

function requestFields(i: number): Field[] {
  const fields = [
    { name: ":method", value: i % 3 === 0 ? "POST" : "GET" },
    { name: ":scheme", value: "http" },
    { name: ":authority", value: "orders.internal:4143" },
    { name: ":path", value: i % 4 === 0 ? "/" : `/item/${i % 5}` },
    { name: "user-agent", value: "weft-test/1" },
    { name: "x-number", value: String(i) },
    { name: "x-some", value: `value ${i % 6}` },
    { name: "x-bytes", value: ALL_BYTES[i % ALL_BYTES.length]! },
    { name: "x-long", value: "long ".repeat(1 + (i % 30)).trim() },
    { name: "x-empty", value: "" },
  ];
  return i % 10 === 9 ? [...fields, { name: "x-huge", value: "h".repeat(5000) }] : fields;
}

function headersOf(fields: readonly Field[]): Record<string, string> {
  return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
}

/** Regular fields of an answer that node made, without what it adds. */
function withoutDate(fields: readonly Field[]): Field[] {
  return fields.filter(({ name }) => name !== "date");
}

const SIZES = [4096, 0, 4096, 100, 60, 2000, 65_536, 4096];
const ROUNDS = 25;

/** One request of a node client; resolves with the answer's headers. */
async function ask(session: ClientHttp2Session, headers: Record<string | symbol, unknown>): Promise<IncomingHttpHeaders> {
  const stream = session.request(headers as never, { endStream: true });
  const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders];
  stream.resume();
  await once(stream, "close");
  return answer;
}

function settled(session: ClientHttp2Session, headerTableSize: number): Promise<void> {
  return new Promise((resolve, reject) => session.settings({ headerTableSize }, (error) => (error === null ? resolve() : reject(error))));
}

for (const huffman of [false, true]) {
  describe(`node:http2, our literals ${huffman ? "Huffman-coded" : "as they are"}`, () => {
    it("a client's requests are decoded, and it reads our answers, while both tables are resized", async () => {
      const server = await RawServer.start({
        huffman,
        onHead: (connection, head) =>
          connection.sendHead(
            head.stream,
            [{ name: ":status", value: "203" }, ...head.fields.filter(({ name }) => !name.startsWith(":"))],
            true,
          ),
      });
      const session = connect(`http://127.0.0.1:${server.port}`);
      try {
        for (const [round, size] of SIZES.entries()) {
          for (let i = 0; i < ROUNDS; i++) {
            const fields = requestFields(round * ROUNDS + i);
            const answer = await ask(session, headersOf(fields));
            assert.deepEqual(server.heads.at(-1)!.fields, order(fields));
            assert.equal(answer[":status"], 203);
            for (const { name, value } of fields) if (!name.startsWith(":")) assert.equal(answer[name], value, name);
          }
          server.connections[0]!.setTableSize(size);
          await settled(session, SIZES[(round + 3) % SIZES.length]!);
        }
        assert.ok(server.connections[0]!.peerSizes.length >= SIZES.length);
        assert.ok(server.connections[0]!.sizeUpdates >= 4, "node's encoder followed our limits");
        server.check();
      } finally {
        session.destroy();
        await server.stop();
      }
    });

    it("a server reads our requests, and its answers are decoded, while both tables are resized", async () => {
      const got: Record<string, unknown>[] = [];
      const node = createServer();
      node.on("stream", (stream: ServerHttp2Stream, headers) => {
        got.push(Object.fromEntries(Object.entries(headers)));
        const regular = Object.entries(headers).filter(([name]) => !name.startsWith(":"));
        stream.respond({ ":status": 203, ...Object.fromEntries(regular) }, { endStream: true });
      });
      const raw = await RawH2.connect(await listen(node), { huffman });
      try {
        let stream = 1;
        for (const [round, size] of SIZES.entries()) {
          for (let i = 0; i < ROUNDS; i++) {
            const fields = requestFields(round * ROUNDS + i);
            raw.sendHead(stream, fields, true);
            stream += 2;
            await raw.until(() => raw.heads.length === (stream - 1) / 2);
            assert.deepEqual(got.at(-1), headersOf(fields));
            const expected = [{ name: ":status", value: "203" }, ...fields.filter(({ name }) => !name.startsWith(":"))];
            assert.deepEqual(withoutDate(raw.heads.at(-1)!.fields), expected);
          }
          raw.setTableSize(size);
          for (const session of sessions) session.settings({ headerTableSize: SIZES[(round + 3) % SIZES.length]! });
        }
        assert.ok(raw.peerSizes.length >= SIZES.length - 1);
        assert.ok(raw.sizeUpdates >= 4, "node's encoder followed our limits");
      } finally {
        raw.close();
        node.close();
        await once(node, "close");
      }
    });
  });
}

describe("node:http2, never-indexed fields", () => {
  it("keep their flag in both directions", async () => {
    const server = await RawServer.start({
      onHead: (connection, head) =>
        connection.sendHead(
          head.stream,
          [
            { name: ":status", value: "200" },
            { name: "x-secret", value: "back", never: true },
          ],
          true,
        ),
    });
    const session = connect(`http://127.0.0.1:${server.port}`);
    try {
      const answer = await ask(session, { ":path": "/", "x-secret": "there", "x-open": "1", [sensitiveHeaders]: ["x-secret"] });
      const fields = server.heads[0]!.fields;
      assert.deepEqual(
        fields.find(({ name }) => name === "x-secret"),
        { name: "x-secret", value: "there", never: true },
      );
      assert.deepEqual(
        fields.find(({ name }) => name === "x-open"),
        { name: "x-open", value: "1" },
      );
      assert.equal(answer["x-secret"], "back");
      assert.deepEqual((answer as Record<symbol, unknown>)[sensitiveHeaders], ["x-secret"]);
      server.check();
    } finally {
      session.destroy();
      await server.stop();
    }
  });
});

const sessions: { settings(settings: { headerTableSize: number }): void }[] = [];

async function listen(server: Http2Server): Promise<number> {
  server.on("session", (session) => sessions.splice(0, sessions.length, session));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** As a decoder lists them: pseudo-header fields first, in its own order. */
function order(fields: readonly Field[]): Field[] {
  const names = [":method", ":scheme", ":authority", ":path", ":status", ":protocol"];
  return [...names.flatMap((name) => fields.filter((field) => field.name === name)), ...fields.filter(({ name }) => !name.startsWith(":"))];
}
