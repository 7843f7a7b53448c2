// What the identity component takes from anybody is bounded: bytes, streams, silent connections, certificates per identity, lines of log.

import assert from "node:assert/strict";
import { connect as connectH2, type ClientHttp2Session } from "node:http2";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { Bundle } from "../../../src/control/identity/authority.ts";
import { BundleFeed } from "../../../src/control/identity/bundle-feed.ts";
import { RateLimit } from "../../../src/control/identity/rate-limit.ts";
import { throttled } from "../../../src/control/log.ts";
import { certify, makeRequest, SERVER, WEB } from "../support/identity-client.ts";
import { IdentityComponent } from "../support/identity-component.ts";
import { waitUntil, within } from "../../support/wait.ts";

let component: IdentityComponent;
/** Looks at its connections all the time. */
let hasty: IdentityComponent;
before(async () => {
  component = await IdentityComponent.start();
  hasty = await IdentityComponent.start({ hurry: { sweepMs: 500, requestMs: 15_000 } });
});
after(async () => {
  await component.remove();
  await hasty.remove();
});

async function rawSession(component: IdentityComponent): Promise<ClientHttp2Session> {
  const session = connectH2(`https://127.0.0.1:${component.controller.port}`, { ca: component.bundle, servername: SERVER });
  session.on("error", () => {});
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  return session;
}

test("a message over 32 KB is refused, and the component goes on", async () => {
  const connection = component.connect();
  await assert.rejects(
    connection.identity.certify({ identity: WEB, token: new Uint8Array(40_000), certificateSigningRequest: new Uint8Array(1) }),
    (error: ConnectError) => error.code === Code.ResourceExhausted,
  );
  await certify(component.connect(), WEB, await component.token());
});

test("a connection has 8 streams and 8 KB of header at most", async () => {
  const session = await rawSession(component);
  assert.equal(session.remoteSettings.maxConcurrentStreams, 8);
  assert.equal(session.remoteSettings.maxHeaderListSize, 8192);
  const stream = session.request({
    ":method": "POST",
    ":path": "/io.linkerd.proxy.identity.Identity/Certify",
    "x-long": "a".repeat(30_000),
  });
  const status = await within(
    "the refusal",
    new Promise((resolve) => {
      stream.on("response", (headers) => resolve(headers[":status"]));
      stream.on("error", () => resolve("reset"));
      stream.on("close", () => resolve("closed"));
    }),
  );
  assert.notEqual(status, 200);
  session.destroy();
  await certify(component.connect(), WEB, await component.token());
});

test("other paths, other methods and other protocols get no answer of ours", async () => {
  const session = await rawSession(component);
  for (const headers of [
    { ":method": "GET", ":path": "/" },
    { ":method": "POST", ":path": "/io.linkerd.proxy.identity.Identity/Certify", "content-type": "application/json" },
    { ":method": "POST", ":path": "/io.linkerd.proxy.identity.Identity/Other", "content-type": "application/grpc" },
  ]) {
    const stream = session.request(headers);
    stream.resume();
    if (headers[":method"] === "POST") stream.end("{}");
    const status = await within("an answer", new Promise((resolve) => stream.once("response", (answer) => resolve(answer[":status"]))));
    assert.ok([404, 405, 415].includes(status as number), `${headers[":path"]} ${String(status)}`);
  }
  session.destroy();
});

test("a connection without a stream is sent away; one that watches stays, and is counted", async () => {
  const idle = await rawSession(hasty);
  const watch = hasty.connect().trust.watch({})[Symbol.asyncIterator]();
  await watch.next();
  await waitUntil("the end of the idle connection", () => idle.closed || idle.destroyed);
  let isOver = false;
  void watch.next().then(
    () => (isOver = true),
    () => (isOver = true),
  );
  await waitUntil("the watch to be the only one", async () => {
    const { text } = await hasty.admin("GET", "/metrics");
    return /^identity_watches 1$/m.test(text) && /^identity_connections 1$/m.test(text);
  });
  assert.equal(isOver, false);
});

test("a request that never ends is cut; a watch whose request is complete is not", async () => {
  // In no hurry to look at its connections: on a busy machine a PING may go unanswered for a second, and that ends them, too.
  const impatient = await IdentityComponent.start({ hurry: { sweepMs: 30_000, requestMs: 1_000 } });
  const watch = impatient.connect().trust.watch({})[Symbol.asyncIterator]();
  await watch.next();
  let isOver = false;
  void watch.next().then(
    () => (isOver = true),
    () => (isOver = true),
  );
  const session = await rawSession(impatient);
  for (const path of ["/io.linkerd.proxy.identity.Identity/Certify", "/weft.identity.v1.Trust/Watch"]) {
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" });
    stream.on("error", () => {});
    stream.write(Buffer.from([0, 0, 0, 1, 0]));
    await within("the cut", new Promise((resolve) => stream.once("close", resolve)));
  }
  assert.equal(isOver, false);
  session.destroy();
  await impatient.remove();
});

test("its end waits for nobody whose way is dead", async () => {
  const mortal = await IdentityComponent.start();
  const { port } = mortal.controller;
  const sockets: Socket[] = [];
  const relay = createServer((near) => {
    const far = connectTcp(port, "127.0.0.1");
    for (const socket of [near, far]) sockets.push(socket.on("error", () => undefined));
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const { port: relayPort } = relay.address() as AddressInfo;
  const session = connectH2(`https://127.0.0.1:${relayPort}`, { ca: mortal.bundle, servername: SERVER });
  session.on("error", () => {});
  const watch = session.request({
    ...{ ":method": "POST", ":path": "/weft.identity.v1.Trust/Watch" },
    ...{ "content-type": "application/grpc", te: "trailers" },
  });
  watch.on("error", () => {}).end(Buffer.alloc(5));
  await within("the bundle", new Promise((resolve) => watch.once("data", resolve)));
  // A second one is not even through its handshake.
  const beginner = connectTcp(relayPort, "127.0.0.1");
  beginner.on("error", () => undefined);
  await waitUntil("the relay to have both", () => sockets.length === 4);
  // As a container that is gone with its network: nothing is taken, nothing answered, nothing closed.
  for (const socket of sockets) socket.unpipe().pause();
  await within("the end", mortal.controller.close(), 60_000);
  for (const socket of [...sockets, beginner]) socket.destroy();
  session.destroy();
  relay.close();
  await mortal.remove();
});

test("what a client calls itself does not make an answer or a log line long", async () => {
  const request = await makeRequest(WEB, { names: [{ type: "dns", value: "\0".repeat(6_000) }] });
  await assert.rejects(certify(component.connect(), WEB, await component.token(), request), (error: ConnectError) => {
    assert.match(error.rawMessage, /^\[WEFT_IDENTITY_CSR_NAME\]/);
    return error.rawMessage.length < 1_000;
  });
});

test("one identity's certificates are limited, another's are not", () => {
  let nowMs = 0;
  const rate = new RateLimit(() => nowMs);
  let taken = 0;
  while (rate.take(WEB) && taken < 10_000) taken++;
  assert.equal(taken, 500);
  assert.ok(rate.take("other"));
  nowMs += 1_000;
  taken = 0;
  while (rate.take(WEB) && taken < 10_000) taken++;
  assert.equal(taken, 50);
});

test("the table of limits forgets who was not seen for longest", () => {
  const rate = new RateLimit(() => 0);
  for (let i = 0; i < 500; i++) rate.take("first");
  assert.ok(!rate.take("first"));
  for (let i = 0; i < 20_000; i++) rate.take(`identity-${i}`);
  assert.ok(rate.take("first"));
});

test("a watcher that reads slowly skips to the newest bundle, and leaves nothing behind when it goes", async () => {
  const feed = new BundleFeed();
  const bundle = (version: number): Bundle => ({ roots: [], version, atMs: 0 });
  assert.ok(feed.publish(bundle(1)));
  assert.ok(!feed.publish(bundle(1)));
  const abort = new AbortController();
  const watch = feed.watch(abort.signal);
  assert.equal((await watch.next()).value?.version, 1);
  for (let version = 2; version <= 10; version++) feed.publish(bundle(version));
  assert.equal((await watch.next()).value?.version, 10);
  const next = watch.next();
  feed.publish(bundle(11));
  assert.equal((await next).value?.version, 11);
  const last = watch.next();
  abort.abort();
  assert.equal((await last).done, true);
  assert.equal(feed.watchers, 0);
});

test("refusals fill no disk: ten lines a second, the others are counted", () => {
  let nowMs = 0;
  const lines: unknown[] = [];
  const log = throttled(
    (_level, _message, fields) => lines.push(fields),
    () => nowMs,
  );
  for (let i = 0; i < 1_000; i++) log("warn", "x", { i });
  assert.equal(lines.length, 10);
  nowMs = 1_000;
  log("warn", "x", { i: 1_000 });
  assert.deepEqual(lines.at(-1), { i: 1_000, notLogged: 990 });
});

test("a clock that jumps is noticed and said", async (t) => {
  const own = await IdentityComponent.start({ rotation: { propagationMs: 0 } });
  try {
    const realMs = Date.now();
    t.mock.timers.enable({ apis: ["Date"], now: realMs + 60_000 });
    const line = await waitUntil("the warning", () => own.lines.find(({ message }) => message.includes("clock has jumped")));
    t.mock.timers.reset();
    assert.ok(Math.abs(Number(line.fields["seconds"]) - 60) <= 5);
    await certify(own.connect(), WEB, await own.token());
  } finally {
    await own.remove();
  }
});

test("a clock that is years ahead for a moment replaces no root; who asks meanwhile is told, and afterwards all is as before", async (t) => {
  const own = await IdentityComponent.start({ rotation: { propagationMs: 0 } });
  try {
    const bundle = own.bundle;
    const token = await own.token();
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 5 * 366 * 86_400_000 });
    const line = await waitUntil("the warning", () => own.lines.find(({ message }) => message.includes("clock has jumped")));
    assert.equal(line.fields["nothingRotatesForSeconds"], 600);
    await waitUntil("some looks at what is due", () => own.lines.filter(({ message }) => message.includes("could not follow")).length >= 3);
    t.mock.timers.reset();
    assert.equal(own.bundle, bundle);
    await certify(own.connect(), WEB, token);
  } finally {
    await own.remove();
  }
});
