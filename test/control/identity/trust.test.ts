// What a client trusts: the component's own chain by a token's pin, the bundle that is streamed, and roots that change under its feet.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect as connectTls } from "node:tls";
import { test } from "node:test";
import { pinnedRoot, readJoinToken } from "../../../src/core/identity/join-token.ts";
import type { JoinToken } from "../../../src/core/identity/join-token.ts";
import type { TrustBundle } from "../../../src/api/weft/identity_pb.ts";
import { isVerifiedBy, sentChain } from "../support/chain.ts";
import { certify, SERVER, WEB } from "../support/identity-client.ts";
import type { Certified } from "../support/identity-client.ts";
import { Stalls } from "../support/stalls.ts";
import { IdentityComponent } from "../support/identity-component.ts";
import { waitUntil } from "../../support/wait.ts";

const SHORT = { leafLifetimeMs: 6_000, issuerLifetimeMs: 60_000, rootLifetimeMs: 600_000, propagationMs: 1_500, skewMs: 0 };

function read(text: string): JoinToken {
  const token = readJoinToken(text);
  assert.ok(!("problem" in token));
  return token;
}

const rootsOf = (bundle: TrustBundle): X509Certificate[] => bundle.roots.map((der) => new X509Certificate(der));
const fingerprints = (bundle: TrustBundle): string[] => rootsOf(bundle).map((root) => root.fingerprint256);

/** A proxy's part: joins by token, then renews by its certificate; after a stall of the machine it joins again. */
class Member {
  readonly #component: IdentityComponent;
  readonly #stalls = new Stalls();
  #current: Certified | null = null;

  constructor(component: IdentityComponent) {
    this.#component = component;
  }

  /** The next certificate, null when the machine stood still for so long that what has seconds to live has ended. */
  async next(ca: string): Promise<Certified | null> {
    const client = this.#current === null ? { ca } : { cert: this.#current.cert, key: this.#current.key, ca };
    const connection = this.#component.connect(client);
    try {
      this.#current = await certify(connection, WEB, this.#current === null ? await this.#component.token() : "");
    } catch (error) {
      if (!this.hasStalled) throw error;
      this.#current = null;
    } finally {
      connection.close();
    }
    return this.#current;
  }

  get hasStalled(): boolean {
    return this.#stalls.within(5_000);
  }

  stop(): void {
    this.#stalls.stop();
  }
}

test("a client with nothing but a token finds the pinned root in the chain, and verifies the component by it", async () => {
  const [right, wrong] = [await IdentityComponent.start(), await IdentityComponent.start()];
  try {
    const token = read(await right.token());
    const chain = await sentChain(right.controller.port);
    assert.equal(chain.length, 3);
    const root = pinnedRoot(chain, token);
    assert.ok(root !== null);
    assert.ok(await isVerifiedBy(right.controller.port, root));
    // Another mesh's component, or somebody's who wants the token: nothing that it sends is pinned, and the root does not verify it.
    assert.equal(pinnedRoot(await sentChain(wrong.controller.port), token), null);
    assert.equal(await isVerifiedBy(wrong.controller.port, root), false);
  } finally {
    await Promise.all([right.remove(), wrong.remove()]);
  }
});

test("TLS 1.2 is refused, and so is a client without HTTP/2", async () => {
  const component = await IdentityComponent.start();
  try {
    const options = { host: "127.0.0.1", port: component.controller.port, servername: SERVER, ca: component.bundle };
    for (const bad of [{ maxVersion: "TLSv1.2" as const, ALPNProtocols: ["h2"] }, { ALPNProtocols: ["http/1.1"] }]) {
      await assert.rejects(
        new Promise((resolve, reject) => {
          const socket = connectTls({ ...options, ...bad }, () => resolve(socket));
          socket.once("error", reject);
        }),
      );
    }
  } finally {
    await component.remove();
  }
});

test("the bundle comes at once, and again whole after a rotation by hand; leaves, issuers and roots take over without a gap", async () => {
  const component = await IdentityComponent.start({ rotation: SHORT });
  try {
    const watching = component.connect();
    const bundles: TrustBundle[] = [];
    const watch = (async () => {
      for await (const bundle of watching.trust.watch({})) bundles.push(bundle);
    })().catch(() => {});
    await waitUntil("the first bundle", () => bundles.length === 1);
    const [oldRoot] = fingerprints(bundles[0]!) as [string];
    const oldPin = read(await component.token());

    const member = new Member(component);
    await member.next(component.bundle);
    const rotation = await component.admin("POST", "/identity/rotate?what=root", "", component.authorization);
    assert.equal(rotation.status, 200);
    await waitUntil("the bundle with both roots", () => bundles.length === 2);
    assert.equal(fingerprints(bundles[1]!)[0], oldRoot);
    const newRoot = fingerprints(bundles[1]!)[1]!;
    const both = component.bundle;
    const bundleText = (): string =>
      bundles
        .at(-1)!
        .roots.map((der) => new X509Certificate(der).toString())
        .join("");

    const signers: string[] = [oldRoot];
    let activatedMs = Number.POSITIVE_INFINITY;
    // Renewals by certificate all the way through, each verified against the newest bundle that the stream brought.
    await waitUntil(
      "the old root to be dropped",
      async () => {
        const askedMs = performance.now();
        const issuer = (await member.next(bundleText()))?.intermediates[0];
        if (issuer === undefined) return false;
        const root = rootsOf(bundles.at(-1)!).find((it) => issuer.checkIssued(it) && issuer.verify(it.publicKey));
        assert.ok(root !== undefined, "signed below a root that is not in the bundle");
        if (signers.at(-1) !== root.fingerprint256) signers.push(root.fingerprint256);
        if (signers.length === 2 && activatedMs === Number.POSITIVE_INFINITY) {
          activatedMs = askedMs;
          const announcedMs = Number(bundles[1]!.issuedAt!.seconds) * 1000 + bundles[1]!.issuedAt!.nanos / 1e6;
          assert.ok(Date.now() - announcedMs >= SHORT.propagationMs, "the new root signs before it was distributed");
        }
        // For a while after the new root began to sign, a token from before still finds its root.
        const isHeld = (): boolean => !(performance.now() - activatedMs >= SHORT.leafLifetimeMs / 2) && !member.hasStalled;
        if (isHeld()) {
          const chain = await sentChain(component.controller.port);
          assert.ok(!isHeld() || pinnedRoot(chain, oldPin) !== null, "a token from before does not find its root");
        }
        return bundles.length === 3;
      },
      60_000,
    );
    member.stop();
    assert.deepEqual(signers, [oldRoot, newRoot]);
    assert.deepEqual(fingerprints(bundles[2]!), [newRoot]);
    const versions = bundles.map(({ version }) => version);
    assert.ok(versions[0]! < versions[1]! && versions[1]! < versions[2]!);
    assert.equal(both.match(/BEGIN/g)!.length, 2);

    // The own certificate has moved: a token from before pins nothing any more, one from now does.
    await waitUntil(
      "the component's own certificate below the new root",
      async () => pinnedRoot(await sentChain(component.controller.port), read(await component.token())) !== null,
    );
    assert.equal(pinnedRoot(await sentChain(component.controller.port), oldPin), null);
    watching.close();
    await watch;
  } finally {
    await component.remove();
  }
});

test("an issuer that is replaced by hand signs at once, and certificates of the one before still renew", async () => {
  const component = await IdentityComponent.start();
  try {
    const before = await certify(component.connect(), WEB, await component.token());
    const { status, text } = await component.admin("POST", "/identity/rotate?what=issuer", "", component.authorization);
    assert.deepEqual([status, text], [200, "a new issuer signs from now on\n"]);
    const after = await certify(component.connect(before), WEB, "");
    assert.notEqual(after.intermediates[0]!.fingerprint256, before.intermediates[0]!.fingerprint256);
    assert.ok((await certify(component.connect(after), WEB, "")).leaf.verify(after.intermediates[0]!.publicKey));
  } finally {
    await component.remove();
  }
});

test("left to itself, the component renews issuers and roots, and a proxy that renews never fails", async () => {
  const rotation = { leafLifetimeMs: 3_000, issuerLifetimeMs: 4_000, rootLifetimeMs: 12_000, propagationMs: 1_000, skewMs: 0 };
  const component = await IdentityComponent.start({ rotation });
  try {
    let bundle = "";
    const versions: bigint[] = [];
    const watching = component.connect();
    const watch = (async () => {
      for await (const { roots, version } of watching.trust.watch({})) {
        bundle = roots.map((der) => new X509Certificate(der).toString()).join("");
        versions.push(version);
      }
    })().catch(() => {});
    await waitUntil("the first bundle", () => versions.length > 0);
    const member = new Member(component);
    const issuers = new Set<string>();
    let renewals = 0;
    await waitUntil(
      "a whole change of roots",
      async () => {
        const issuer = (await member.next(bundle))?.intermediates[0];
        if (issuer !== undefined) issuers.add(issuer.fingerprint256);
        if (issuer !== undefined) renewals++;
        return versions.length >= 3;
      },
      60_000,
    );
    member.stop();
    assert.ok(issuers.size >= 3, `${issuers.size} issuers`);
    assert.ok(renewals >= 10, `${renewals} renewals`);
    watching.close();
    await watch;
  } finally {
    await component.remove();
  }
});

test("a watch from before a restart ends, the next one brings the same version", async () => {
  const component = await IdentityComponent.start();
  try {
    const first = component.connect().trust.watch({})[Symbol.asyncIterator]();
    const before = (await first.next()).value as TrustBundle;
    const end = first.next().then(
      () => "ended",
      () => "ended",
    );
    await component.controller.close();
    assert.equal(await end, "ended");
    await component.start();
    const after = (await component.connect().trust.watch({})[Symbol.asyncIterator]().next()).value as TrustBundle;
    assert.equal(after.version, before.version);
    assert.deepEqual(fingerprints(after), fingerprints(before));
  } finally {
    await component.remove();
  }
});
