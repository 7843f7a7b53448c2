// Another proxy of the mesh that is there, as its answers to PING say, and takes nothing: its streams end by a deadline of their own, on either side.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { connect, request } from "../support/client.ts";
import { ErrorCode, FrameType, headers, Setting, windowUpdate } from "../support/h2-frames.ts";
import { block } from "../support/h2-hpack.ts";
import { H2Peer } from "../support/h2-peer.ts";
import { H2Server } from "../support/h2-server.ts";
import { header } from "../support/http-lite.ts";
import { MeshAuthority, meshName } from "../support/mesh-certificates.ts";
import { connectMesh } from "../support/mesh-client.ts";
import { startApp } from "../support/origin-app.ts";
import { scenario } from "../support/scenario.ts";
import { waitUntil } from "../support/wait.ts";

/** Nothing here is about how long something takes. */
const PATIENCE_MS = 60_000;

/** What is between two proxies is waited for beyond the deadline of others; PING is asked often enough to keep the connection within it. */
const LIMITS = { writeDeadlineMs: 100, meshWriteDeadlineMs: 2_000, meshPingIntervalMs: 200, meshPingTimeoutMs: PATIENCE_MS };

const NO_WINDOW = [[Setting.INITIAL_WINDOW_SIZE, 0]] as const;
const SIZE = 100_000;

const authority = new MeshAuthority();
const files = authority.files("web");
after(() => files.remove());

describe("a client of the mesh that gives no credit", () => {
  const s = scenario(
    async () => ({ web: await startApp({ name: "web" }) }),
    (o) => ({ services: {}, identity: files.paths, inbound: { target: o.web.address, policy: "all-authenticated" }, limits: LIMITS }),
  );

  it("keeps its connection by PING, and loses the stream", async () => {
    const socket = await connectMesh(authority, s.proxy.listener("inbound"), "h2");
    const peer = new H2Peer(socket, "client", { deadlineMs: PATIENCE_MS });
    await peer.handshake(NO_WINDOW);
    const ask = (streamId: number): void => {
      const fields = [
        [":method", "GET"],
        [":scheme", "https"],
        [":authority", "web"],
        [":path", `/bytes/${SIZE}/1`],
      ] as const;
      peer.send(headers(streamId, block(fields), { endStream: true }));
    };
    const askedAt = performance.now();
    ask(1);
    await peer.expectHeaders(1);
    await peer.expectReset(1, ErrorCode.CANCEL);
    assert.ok(performance.now() - askedAt >= LIMITS.meshWriteDeadlineMs / 2, "not by the deadline of other clients");
    assert.ok(peer.count(FrameType.PING) > 0);
    assert.equal(peer.isClosed, false);
    const errors = async (): Promise<number> => (await s.proxy.metrics()).sum("inbound_http_errors_total", { error: "write deadline" });
    await waitUntil("the count", async () => (await errors()) === 1, PATIENCE_MS);

    // The connection is as good as before.
    ask(3);
    await peer.expectHeaders(3);
    peer.send(windowUpdate(3, SIZE), windowUpdate(0, SIZE));
    let bytes = 0;
    while (bytes < SIZE) bytes += (await peer.expectType(FrameType.DATA, 3)).payload.length;
    assert.equal(bytes, SIZE);
    peer.destroy();
  });
});

describe("a server's proxy that gives no credit", () => {
  const server = (): Promise<H2Server> =>
    H2Server.start(
      async (peer) => {
        await peer.accept(NO_WINDOW);
        for (;;) if ((await peer.next("a frame", 3_600_000)) === null) return;
      },
      { deadlineMs: PATIENCE_MS },
    );
  const s = scenario(
    async () => ({ web: await server() }),
    (o) => ({
      services: { web: { endpoints: [o.web.address], identity: meshName("web") } },
      identity: files.paths,
      limits: LIMITS,
      // Without TLS between the proxies: the test is one of them.
      environment: { WEFT_TEST_MESH: "plain" },
    }),
  );

  it("keeps its connection by PING, and the client gets 504", async () => {
    const client = await connect(s.port);
    const askedAt = performance.now();
    await client.send(request("POST", "/", {}, "x".repeat(SIZE)));
    const answer = await client.expectResponse({}, PATIENCE_MS);
    assert.equal(answer.status, 504);
    assert.match(header(answer, "l5d-proxy-error") ?? "", /WEFT_WRITE_STALLED/);
    assert.ok(performance.now() - askedAt >= LIMITS.meshWriteDeadlineMs / 2, "not by the deadline of other servers");
    const [peer] = s.origins.web.peers;
    await waitUntil("PING and the reset", () => peer!.count(FrameType.PING) > 0 && peer!.count(FrameType.RST_STREAM) === 1, PATIENCE_MS);
    assert.equal(peer!.isClosed, false);
    client.destroy();
  });
});
