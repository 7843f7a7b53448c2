// The tests' own tools, tested without a proxy: a scenario must not pass because its origin or its reader is wrong.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { connect, once, request } from "./client.ts";
import { header, MessageReader, text } from "./http-lite.ts";
import { Metrics } from "./metrics.ts";
import { type Origin, startRawOrigin } from "./origin.ts";
import { startApp } from "./origin-app.ts";
import { closedPort, freePorts } from "./ports.ts";
import { SeededContent, seededBuffer, seededHash } from "./seeded-content.ts";
import { Gate, waitUntil, within } from "./wait.ts";

function read(kind: "request" | "response", bytes: string, options = {}): MessageReader {
  const reader = new MessageReader(kind, options);
  for (const byte of Buffer.from(bytes, "latin1")) assert.equal(reader.push(Buffer.of(byte)), 1);
  return reader;
}

describe("http-lite", () => {
  it("reads a body by its length and leaves what follows", () => {
    const reader = new MessageReader("response");
    const bytes = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1");
    assert.equal(reader.push(bytes), bytes.length - 8);
    assert.equal(text(reader.message!), "abc");
  });

  it("reads chunks and trailers", () => {
    const reader = read("response", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n");
    assert.ok(reader.isDone);
    assert.equal(text(reader.message!), "abcde");
    assert.deepEqual(reader.message!.trailers, [["X-T", "1"]]);
  });

  it("keeps informational heads apart", () => {
    const reader = read("response", "HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n");
    assert.ok(reader.isDone);
    assert.deepEqual(
      reader.message!.informational.map((message) => message.status),
      [103],
    );
  });

  it("ends an until-close body at the end only", () => {
    const reader = read("response", "HTTP/1.0 200 OK\r\n\r\nabc");
    assert.ok(!reader.isDone);
    reader.end();
    assert.equal(text(reader.message!), "abc");
  });

  it("refuses an end in the middle", () => {
    for (const bytes of [
      "HTTP/1.1 200 OK\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ]) {
      assert.throws(() => read("response", bytes).end(), /stream ended/);
    }
  });

  it("refuses what no proxy may write", () => {
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const bytes of [
      "HTTP/1.1 200 OK\n\n",
      `${chunked}3;x=1\r\n`,
      `${chunked}3\r\nabcd\r\n`,
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]) {
      assert.throws(() => read("response", bytes));
    }
  });
});

describe("seeded content", () => {
  it("is the same whatever the steps, and differs by seed", () => {
    const content = new SeededContent(7, 100_000);
    const parts: Buffer[] = [];
    for (let size = 1, part = content.next(size); part.length > 0; part = content.next(++size * 97)) parts.push(part);
    assert.deepEqual(Buffer.concat(parts), seededBuffer(7, 100_000));
    assert.notDeepEqual(seededBuffer(7, 100), seededBuffer(8, 100));
    assert.equal(seededHash(7, 100_000), createHash("sha256").update(seededBuffer(7, 100_000)).digest("hex"));
  });
});

describe("the standard origin", () => {
  let origin: Origin;
  before(async () => {
    origin = await startApp({ name: "one" });
  });
  after(() => origin.stop());

  it("answers many requests on a connection", async () => {
    const wire = await connect(origin.port);
    for (const target of ["/name", "/status/404", "/x"]) await wire.send(request("GET", target));
    assert.equal(text(await wire.expectResponse()), "one");
    assert.equal((await wire.expectResponse()).status, 404);
    assert.equal(text(await wire.expectResponse()), "hello");
    wire.endWrite();
    await wire.expectEnd();
  });

  it("hashes uploads, chunked or not", async () => {
    const body = seededBuffer(3, 200_000);
    const hash = seededHash(3, 200_000);
    const plain = Buffer.concat([Buffer.from(`POST /hash HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
    assert.equal(text(await once(origin.port, plain)), `200000 ${hash} `);
    const head = Buffer.from("POST /hash HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n");
    const chunked = Buffer.concat([head, body, Buffer.from("\r\n0\r\nA: b\r\n\r\n")]);
    assert.equal(text(await once(origin.port, chunked)), `200000 ${hash} A=b`);
  });

  it("serves seeded content in every framing", async () => {
    for (const kind of ["bytes", "chunked", "close"]) {
      const response = await once(origin.port, request("GET", `/${kind}/300000/9`), { hashOnly: true });
      assert.equal(response.framing, { bytes: "length", chunked: "chunked", close: "until-close" }[kind]);
      assert.equal(response.bodyHash, seededHash(9, 300_000));
    }
    const head = await once(origin.port, request("HEAD", "/bytes/300000/9"), { isHead: true });
    assert.equal(header(head, "content-length"), "300000");
  });
});

describe("wire", () => {
  it("tells a reset from an end, and what came instead of what was expected", async () => {
    const origin = await startRawOrigin(async (wire) => {
      const word = await wire.expectUntil("\n");
      if (word === "end\n") wire.endWrite();
      else if (word === "reset\n") wire.reset();
      else await wire.send("surprise");
    });
    try {
      const [ended, reset, surprised] = [await connect(origin.port), await connect(origin.port), await connect(origin.port)];
      await ended.send("end\n");
      await ended.expectEnd();
      await reset.send("reset\n");
      await assert.rejects(reset.expectEnd(), /ECONNRESET/);
      await surprised.send("x\n");
      assert.equal((await surprised.expectBytes(4)).toString(), "surp");
      await assert.rejects(surprised.expectUntil("\r\n", 20), /waited 20 ms.*rise/);
      for (const wire of [ended, reset, surprised]) wire.destroy();
    } finally {
      await origin.stop();
    }
  });

  it("fails to connect where nothing listens", async () => {
    await assert.rejects(connect(await closedPort()), /ECONNREFUSED/);
  });
});

describe("free ports", () => {
  it("are all different, and can be listened on", async () => {
    const ports = await freePorts(100);
    assert.equal(new Set(ports).size, ports.length);
    for (const port of ports) await (await startRawOrigin(() => undefined, { port })).stop();
  });
});

describe("waiting", () => {
  it("fails at the deadline, with the reason", async () => {
    await assert.rejects(
      waitUntil("pigs", () => false, 10),
      /10 ms for pigs/,
    );
    await assert.rejects(within("a gate", new Gate().opened, 10), /10 ms for a gate/);
  });
});

describe("metrics reader", () => {
  it("sums over labels", () => {
    const metrics = new Metrics('# HELP a b\na_total{x="1",y="a,\\"b"} 2\na_total{x="2"} 3\nb 1.5\n');
    assert.equal(metrics.sum("a_total"), 5);
    assert.equal(metrics.sum("a_total", { x: "2" }), 3);
    assert.equal(metrics.sum("a_total", { y: 'a,\\"b' }), 2);
    assert.equal(metrics.sum("b"), 1.5);
    assert.ok(!metrics.has("c"));
  });
});
