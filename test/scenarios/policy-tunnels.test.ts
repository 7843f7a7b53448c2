// Policies that change while tunnels are open or on their way: a tunnel is judged by the port that it is for, whichever port its connection came in at.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, describe, it } from "node:test";
import { connect } from "../support/client.ts";
import { H2Client } from "../support/h2-client.ts";
import { MeshAuthority } from "../support/mesh-certificates.ts";
import { connectMesh } from "../support/mesh-client.ts";
import { startRawOrigin } from "../support/origin.ts";
import { policyOrigins } from "../support/policy-origins.ts";
import type { ProxyOptions } from "../support/proxy-config.ts";
import { scenario } from "../support/scenario.ts";
import { Gate, waitUntil } from "../support/wait.ts";

const authority = new MeshAuthority();
const files = authority.files("web");
after(() => files.remove());

describe("tunnels when a policy changes", () => {
  const switching = new Gate();
  let asked = 0;
  const startOrigins = async () => ({
    ...(await policyOrigins()),
    slow: await startRawOrigin(async (wire) => {
      await wire.expectUntil("\r\n\r\n", 10_000);
      asked++;
      await switching.opened;
      await wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n");
      await wire.until("the end", () => wire.isEnded || wire.isClosed, 60_000);
    }),
  });
  type Origins = Awaited<ReturnType<typeof startOrigins>>;
  const s = scenario(startOrigins, (o) => config(o, "all-authenticated", "all-unauthenticated"));

  function config(o: Origins, echo: string, slow: string): ProxyOptions {
    return {
      services: {},
      identity: files.paths,
      inbound: {
        target: o.web.address,
        policy: "all-unauthenticated",
        ports: {
          echo: { target: o.echo.address, protocol: "opaque", policy: echo },
          slow: { target: o.slow.address, policy: slow },
        },
      },
    };
  }

  it("one through another port is cut by the policy of its own, and refused in its name", async () => {
    const client = new H2Client(await connectMesh(authority, s.proxy.listener("inbound"), "h2"));
    const tunnel = (): ReturnType<typeof client.session.request> => {
      const stream = client.session.request({ ":method": "CONNECT", ":authority": `x:${s.proxy.listener("echo")}` }, { endStream: false });
      stream.on("error", () => {});
      return stream;
    };
    const open = tunnel();
    let echoed = "";
    let isClosed = false;
    open.on("data", (data: Buffer) => {
      echoed += data.toString("latin1");
    });
    open.on("close", () => {
      isClosed = true;
    });
    open.write("one");
    await waitUntil("the echo", () => echoed === "one");
    const upgrading = await connect(s.proxy.listener("slow"));
    await upgrading.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n");
    await waitUntil("the upgrade at the service", () => asked === 1);

    await s.proxy.reconfigure(config(s.origins, "deny", "deny"));
    await waitUntil("the end of the tunnel", () => isClosed);
    const [headers] = (await once(tunnel(), "response")) as [Record<string, string | number>];
    assert.equal(headers[":status"], 403);
    assert.match(String(headers["l5d-proxy-error"]), /default:deny/);

    switching.open();
    await upgrading.until("the end of the upgraded connection", () => upgrading.isEnded || upgrading.isClosed, 10_000);
    upgrading.destroy();
    client.close();
    assert.equal(echoed, "one");
  });
});
