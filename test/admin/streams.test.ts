// Bodies in slices: JSON, pacing, compression.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { acceptsGzip, gzipped, jsonSlices, paced } from "../../src/admin/streams.ts";

async function collect(stream: AsyncIterable<string | Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

async function* from(slices: readonly string[]): AsyncGenerator<string> {
  for (const slice of slices) yield slice;
}

test("slices of JSON are together what JSON.stringify gives", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue(), { maxLength: 300 }), fc.constant(undefined))),
      (value) => {
        assert.equal([...jsonSlices(value)].join(""), `${JSON.stringify(value)}\n`);
      },
    ),
    { numRuns: 200 },
  );
});

test("a long array comes in several slices", () => {
  const endpoints = Array.from({ length: 5_000 }, (_, index) => ({ address: `127.0.0.1:${index}`, ewma: index / 3 }));
  const slices = [...jsonSlices({ version: 7, endpoints })];
  assert.ok(slices.length > 50);
  assert.ok(Math.max(...slices.map((slice) => slice.length)) < 20_000);
  assert.deepEqual(JSON.parse(slices.join("")), { version: 7, endpoints });
});

test("the event loop turns between two slices", async () => {
  let turns = 0;
  let isRunning = true;
  const turn = (): void => {
    turns += 1;
    if (isRunning) setImmediate(turn);
  };
  setImmediate(turn);
  await collect(paced(["a", "b", "c", "d", "e"]));
  isRunning = false;
  assert.ok(turns >= 4, `${turns} turns`);
});

test("compressed text is the text", async () => {
  const slices = Array.from({ length: 500 }, (_, index) => `metric_${index} ${index * 7}\n`.repeat(50));
  const bytes = await collect(gzipped(from(slices)));
  const text = slices.join("");
  assert.equal(gunzipSync(bytes).toString(), text);
  assert.ok(bytes.length < text.length / 5);
});

test("an error of the source surfaces in the compressed stream", async () => {
  const broken = (async function* () {
    yield "first";
    throw new Error("broken on purpose");
  })();
  await assert.rejects(collect(gzipped(broken)), /broken on purpose/);
});

test("the source is ended when the compressed stream is not read on", async () => {
  let end: (value: unknown) => void = () => {};
  const isEnded = new Promise((resolve) => {
    end = resolve;
  });
  const endless = (async function* () {
    try {
      for (;;) yield Math.random().toString(36).repeat(2_000);
    } finally {
      end(true);
    }
  })();
  for await (const chunk of gzipped(endless)) {
    assert.ok(chunk.length > 0);
    break;
  }
  assert.equal(await isEnded, true);
});

test("gzip is sent to who accepts it (RFC 9110 12.5.3)", () => {
  for (const value of ["gzip", "deflate, gzip;q=0.5", "GZIP", "gzip;q=1.0, br", "x-gzip"]) assert.equal(acceptsGzip(value), true, value);
  for (const value of [undefined, "", "identity", "br", "gzip;q=0", "gzip; q=0.000", "gzipped"])
    assert.equal(acceptsGzip(value), false, value);
});
