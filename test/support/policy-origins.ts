// The services behind ports with policies, and what a connection that is refused looks like.

import assert from "node:assert/strict";
import { type Origin, startRawOrigin } from "./origin.ts";
import { startApp } from "./origin-app.ts";
import type { Wire } from "./wire.ts";

/** Says its line back, and greets first when it is told to. */
function echo(greeting = ""): Promise<Origin> {
  return startRawOrigin(async (wire) => {
    if (greeting !== "") await wire.send(greeting);
    while (!wire.isEnded && !wire.isClosed) {
      await wire.until("bytes", () => wire.buffered > 0 || wire.isEnded || wire.isClosed, 60_000);
      if (wire.buffered > 0) await wire.send(wire.take());
    }
    wire.endWrite();
  });
}

export const policyOrigins = async () => ({
  web: await startApp({ name: "web" }),
  echo: await echo(),
  greeter: await echo("220 ready\r\n"),
});

/** Nothing came, not one byte, and the connection is gone. */
export async function closedWithoutByte(wire: Wire): Promise<void> {
  await wire.expectClosed();
  assert.equal(wire.bytesReceived, 0);
  wire.destroy();
}
