// Opaque connections when some endpoints cannot be connected to: the next endpoint is tried, what the client said first is not lost, and
// nothing of the failed attempt touches the connection that works.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect } from "../support/client.ts";
import { startRawOrigin } from "../support/origin.ts";
import { closedPort } from "../support/ports.ts";
import { scenario } from "../support/scenario.ts";

const CLIENTS = 12;

describe("opaque connections with a dead endpoint", () => {
  let dead = 0;
  const s = scenario(
    async () => {
      dead = await closedPort();
      return {
        web: await startRawOrigin(async (wire) => {
          for (;;) {
            await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
            if (wire.buffered === 0) return wire.endWrite();
            await wire.send(wire.take());
          }
        }),
      };
    },
    (o) => ({ protocol: "opaque", services: { web: { endpoints: [`127.0.0.1:${dead}`, o.web.address], loadBalancer: "round-robin" } } }),
  );

  it("echoes for every client, and forgets the failed attempts", async () => {
    for (let i = 0; i < CLIENTS; i++) {
      const client = await connect(s.port);
      await client.send(`hello ${i}`);
      assert.equal((await client.expectBytes(`hello ${i}`.length)).toString("latin1"), `hello ${i}`);
      client.endWrite();
      await client.expectEnd();
    }
  });
});
