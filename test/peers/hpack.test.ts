// HPACK against nghttp, h2load and curl: what their encoders make is decoded, and they read what ours makes, with tables of many sizes.
//
// Debian has no inflatehd and deflatehd; the clients carry the same library. The server is frames by hand with our codec, nothing between.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Field } from "../core/hpack/codec.ts";
import { type Head, RawServer } from "../core/hpack/raw-h2.ts";
import { succeed } from "./support/tools.ts";

const ANSWER: readonly Field[] = [
  { name: ":status", value: "200" },
  { name: "server", value: "weft-test/1" },
  { name: "content-type", value: "text/plain; charset=utf-8" },
  { name: "x-repeated", value: "the same each time" },
  { name: "set-cookie", value: "a=b; HttpOnly" },
  { name: "x-secret", value: "s3cret", never: true },
];

for (const huffman of [false, true]) {
  describe(`our literals ${huffman ? "Huffman-coded" : "as they are"}`, () => {
    let server: RawServer;

    before(async () => {
      server = await RawServer.start({
        huffman,
        onHead: (connection, head) => connection.sendHead(head.stream, [...ANSWER, { name: "x-stream", value: String(head.stream) }], true),
      });
    });

    after(async () => server?.stop());

    /** The heads that come in during `run`. */
    async function during(run: () => Promise<void>): Promise<Head[]> {
      const connections = server.connections.length;
      await run();
      server.check();
      return server.connections.slice(connections).flatMap(({ heads }) => heads);
    }

    it("nghttp: its requests with tables of any size, announced and announced again", async () => {
      for (const sizes of [[], [0], [100], [65_536], [0, 4096], [4096, 0], [100, 50, 8000]]) {
        for (const encoderSize of ["4096", "0", "200", "65536"]) {
          let output = "";
          const options = sizes.map((size) => `--header-table-size=${size}`);
          const heads = await during(async () => {
            const url = `http://127.0.0.1:${server.port}/path/${"x".repeat(30)}?q=1`;
            const fields = ["-H", "x-custom: some value", "-H", "x-other: ~{}|<>\\^`", "-H", "authorization: Basic c2VjcmV0"];
            output = await succeed("nghttp", ["-v", "-m", "6", ...options, `--encoder-header-table-size=${encoderSize}`, ...fields, url]);
          });
          assert.equal(heads.length, 6, output);
          for (const { fields } of heads) {
            const has = (name: string, value: string): void =>
              assert.ok(
                fields.some((field) => field.name === name && field.value === value),
                name,
              );
            has(":path", `/path/${"x".repeat(30)}?q=1`);
            has("x-custom", "some value");
            has("x-other", "~{}|<>\\^`");
            assert.deepEqual(
              fields.find(({ name }) => name === "authorization"),
              { name: "authorization", value: "Basic c2VjcmV0", never: true },
            );
          }
          // nghttp numbers its streams from 13 on; it prints what it decoded.
          for (const { stream } of heads) assert.match(output, new RegExp(`recv \\(stream_id=${stream}\\) x-stream: ${stream}\\b`));
          assert.equal(output.match(/x-repeated: the same each time/g)?.length, 6);
          assert.equal(output.match(/x-secret: s3cret/g)?.length, 6);
        }
      }
    });

    it("h2load: thousands of requests over few connections", async () => {
      for (const size of ["4096", "0", "300"]) {
        let output = "";
        const heads = await during(async () => {
          const options = [`--header-table-size=${size}`, `--encoder-header-table-size=${size}`, "-H", "x-custom: some value"];
          const paths = ["/", "/a", "/b?c=d"].map((path) => `http://127.0.0.1:${server.port}${path}`);
          output = await succeed("h2load", ["-n", "1500", "-c", "3", "-m", "16", ...options, ...paths]);
        });
        assert.match(output, /1500 succeeded, 0 failed, 0 errored/);
        assert.equal(heads.length, 1500);
        assert.ok(heads.every(({ fields }) => fields.some(({ name, value }) => name === "x-custom" && value === "some value")));
      }
    });

    it("curl: requests of several kinds, each on a connection of its own", async () => {
      // One connection each: curl 7.88 (Debian 12) fails to reuse a prior-knowledge connection with any server.
      for (const [path, ...options] of [
        ["/"],
        ["/two?three=four", "-H", "X-Custom: Some Value", "-b", "a=b; c=d"],
        ["/upload", "-X", "PUT", "-H", "Content-Length: 0", "-u", "user:password"],
        [`/${"long/".repeat(200)}`, "-H", `X-Long: ${"value ".repeat(500)}end`],
      ] as const) {
        let output = "";
        const heads = await during(async () => {
          output = await succeed("curl", ["-sS", "-i", "--http2-prior-knowledge", ...options, `http://127.0.0.1:${server.port}${path}`]);
        });
        assert.equal(heads.length, 1);
        const value = (name: string): string | undefined => heads[0]!.fields.find((field) => field.name === name)?.value;
        assert.equal(value(":path"), path);
        assert.equal(value(":method"), path === "/upload" ? "PUT" : "GET");
        if (path === "/two?three=four") assert.deepEqual([value("x-custom"), value("cookie")], ["Some Value", "a=b; c=d"]);
        if (path === "/upload") assert.equal(value("authorization"), "Basic dXNlcjpwYXNzd29yZA==");
        assert.match(output, /^HTTP\/2 200/);
        for (const { name, value: text } of ANSWER.slice(1)) assert.ok(output.includes(`\r\n${name}: ${text}\r\n`), output);
      }
    });
  });
}
