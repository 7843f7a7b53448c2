// A reset that arrives together with the last bytes: libuv reports the end as a clean one, and only asking the socket tells (RFC 9112
// section 8). Raw clients and origins: the origin writes and resets in the same breath, many times.

import assert from "node:assert/strict";
import { connect as dial, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { ProxyProcess } from "../support/proxy-process.ts";

const ROUNDS = 60;

/** Everything that a client gets, and how it ended. */
function exchange(port: number, request: string): Promise<{ text: string; isReset: boolean }> {
  return new Promise((resolve) => {
    let text = "";
    let isReset = false;
    const socket = dial({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.write(request));
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
    });
    socket.on("error", () => {
      isReset = true;
    });
    // Node's own reader is deceived in the same way: a write tells a pending reset from a clean end.
    socket.on("end", () =>
      socket.write("x", (error) => {
        isReset ||= error !== undefined && error !== null;
        socket.destroy();
      }),
    );
    socket.on("close", () => resolve({ text, isReset }));
  });
}

describe("a reset behind the last bytes", () => {
  let origin: Server;
  let proxy: ProxyProcess;
  before(async () => {
    origin = createServer((socket: Socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nsome", () => socket.resetAndDestroy()));
    });
    await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
    const { port } = origin.address() as { port: number };
    proxy = await ProxyProcess.start({ services: { web: { endpoints: [`127.0.0.1:${port}`] } } });
  });
  after(async () => {
    await proxy.stop();
    await new Promise((resolve) => origin.close(resolve));
  });

  it("never completes an until-close body for HTTP/1.1", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { text } = await exchange(proxy.port, "GET / HTTP/1.1\r\nHost: web\r\n\r\n");
      assert.ok(text.startsWith("HTTP/1.1 502") || !text.endsWith("0\r\n\r\n"), text);
    }
  });

  it("never ends an until-close body for HTTP/1.0 like a complete one", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { text, isReset } = await exchange(proxy.port, "GET / HTTP/1.0\r\nHost: web\r\n\r\n");
      assert.ok(text.startsWith("HTTP/1.1 502") || isReset, text);
    }
  });
});
