// The gRPC cases with nothing between client and server: whatever fails through a proxy has passed here.

import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { after, before, describe, it } from "node:test";
import { Gate, waitUntil } from "../support/wait.ts";
import { GrpcClient } from "./client.ts";
import { INTEROP_CASES } from "./interop.ts";
import { GrpcServer } from "./server.ts";
import { answersByServer, cancellationIsSeen, deadlineIsSeen, LARGE_BYTES, largeMessages, longStream, slowServer } from "./streams.ts";

/** What lies in sockets and streams between two ends on one machine. */
const IN_SOCKETS_BYTES_MAX = 16 * 1024 * 1024;

for (const tls of [false, true]) {
  describe(`gRPC, direct${tls ? " over TLS" : ""}`, () => {
    let server: GrpcServer;
    let client: GrpcClient;
    before(async () => {
      server = await GrpcServer.start({ tls, name: "alone" });
      client = new GrpcClient(server.address, { tls, ...(tls ? { authority: "localhost" } : {}) });
    });
    after(() => {
      client.close();
      server.stop();
    });

    for (const [name, run] of Object.entries(INTEROP_CASES)) it(name, () => run(client));

    it(`carries a message of ${LARGE_BYTES} bytes both ways`, () => largeMessages(client));
    it("carries a stream of 5000 messages both ways, in order", () => longStream(client, 5_000));
    it("tells the server the deadline", () => deadlineIsSeen(client, server));
    it("tells the server of a cancellation", () => cancellationIsSeen(client, server));
    it("counts answers by server", async () => {
      assert.deepEqual([...(await answersByServer(client, 5))], [["alone", 5]]);
    });
  });
}

it("a client is stopped by a server that does not read", async () => {
  const gate = new Gate();
  const server = await GrpcServer.start({ readAfter: gate });
  const client = new GrpcClient(server.address);
  await slowServer(client, server, gate, IN_SOCKETS_BYTES_MAX);
  client.close();
  server.stop();
});

it("a server that drains finishes what runs and takes no more", async () => {
  const gate = new Gate();
  const server = await GrpcServer.start({ answerAfter: gate });
  const client = new GrpcClient(server.address);
  const running = client.unary({});
  await waitUntil("the call", () => server.callsOf("UnaryCall") === 1);
  const drained = server.drain();
  gate.open();
  assert.equal((await running).code, status.OK);
  await drained;
  assert.equal((await client.empty()).code, status.UNAVAILABLE);
  client.close();
});
