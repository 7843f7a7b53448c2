// A client that gives a request up and sends another one, while both have to wait for connections.
//
// Symptom: a request went to a service that it did not name. Cause: the objects of a stream serve its next request, and the queue that the
// first had left found them waiting again, elsewhere. Fix: each wait has a number.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, headers, rstStream, settings, settingsAck } from "../support/h2-frames.ts";
import { block } from "../support/h2-hpack.ts";
import { H2Peer } from "../support/h2-peer.ts";
import { H2Server } from "../support/h2-server.ts";
import { scenario } from "../support/scenario.ts";
import { Gate, waitUntil } from "../support/wait.ts";

describe("a request that was given up while it waited", () => {
  const first = new Gate();
  const second = new Gate();
  const asked: string[] = [];
  /** Says nothing before its gate opens; answers each request with its own name. */
  const server = (name: string, gate: Gate): Promise<H2Server> =>
    H2Server.start(
      async (peer) => {
        await gate.opened;
        peer.send(settings(), settingsAck());
        for (;;) {
          const { fields, streamId } = await peer.expect("a request", ({ fields: some }) => some !== null);
          asked.push(`${name} got ${fields!.find(([field]) => field === ":authority")?.[1]}`);
          peer.send(
            headers(
              streamId,
              block([
                [":status", "200"],
                ["x-name", name],
              ]),
              { endStream: true },
            ),
          );
        }
      },
      { polite: false },
    );
  const s = scenario(
    async () => ({ one: await server("one", first), two: await server("two", second) }),
    (o) => ({
      services: { one: { endpoints: [o.one.address], protocol: "http2" }, two: { endpoints: [o.two.address], protocol: "http2" } },
      default: null,
      // So long an endpoint may be silent.
      limits: { connectTimeoutMs: 20_000, failFastTimeoutMs: 20_000 },
    }),
  );

  it("leaves nothing behind: the next one goes where it names", async () => {
    const peer = await H2Peer.open({ port: s.port });
    const ask = (stream: number, service: string): void => {
      const fields = [":method GET", ":scheme http", ":path /", `:authority ${service}`].map((line) => line.split(" ") as [string, string]);
      peer.send(headers(stream, block(fields), { endStream: true }));
    };
    ask(1, "one");
    await waitUntil("the dial to the first", () => s.origins.one.peers.length === 1);
    peer.send(rstStream(1, ErrorCode.CANCEL));
    ask(3, "two");
    await waitUntil("the dial to the second", () => s.origins.two.peers.length === 1);
    first.open();
    await waitUntil("the first to be acknowledged", () => (s.origins.one.peers[0]!.counts.get(4) ?? 0) >= 2);
    second.open();
    const answer = await peer.expect("the answer", ({ fields, streamId }) => fields !== null && streamId === 3);
    assert.equal(answer.fields!.find(([name]) => name === "x-name")?.[1], "two");
    assert.deepEqual(asked, ["two got two"]);
    peer.destroy();
  });
});
