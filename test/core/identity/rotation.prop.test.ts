// The rotation of roots and issuers under a fake clock: whatever happens and in which order, the invariants hold.
//
// A model authority takes the steps and keeps its own books (when a root was in the bundle, which leaves are out); it is
// restarted, left alone for long, asked for leaves and rotations, and given a clock that stands still or leaps forward.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  activateRoot,
  activeRoot,
  announceRoot,
  DROP_AFTER_UP_MS,
  dropRoot,
  EMPTY_STATE,
  issuerEndMs,
  issuerOf,
  leafEndMs,
  nextRoot,
  nextStep,
  noteLeaf,
  RECONNECT_MS,
  replaceIssuer,
  ROOTS_MAX,
} from "../../../src/core/identity/rotation.ts";
import type { RotationRequest, RotationSettings, RotationState } from "../../../src/core/identity/rotation.ts";

const HOUR_MS = 3_600_000;
const SETTINGS: RotationSettings = {
  rootLifetimeMs: 1_000 * HOUR_MS,
  issuerLifetimeMs: 200 * HOUR_MS,
  leafLifetimeMs: 24 * HOUR_MS,
  skewMs: 20_000,
  propagationMs: 10 * HOUR_MS,
};

class Model {
  state: RotationState = EMPTY_STATE;
  nowMs = 1_000_000_000_000;
  upSinceMs = this.nowMs;
  readonly leaves: { readonly rootId: string; readonly endMs: number }[] = [];
  readonly settings: RotationSettings;
  #ids = 0;

  constructor(settings: RotationSettings = SETTINGS) {
    this.settings = settings;
    this.settle();
  }

  /** Takes every step that is due. */
  settle(request: RotationRequest | null = null): string[] {
    const done: string[] = [];
    for (let wanted = request; ; ) {
      const before = this.state;
      const step = nextStep(before, this.settings, this.nowMs, this.upSinceMs, wanted);
      if (step === null) break;
      if ((wanted === "root" && step.do === "make-root") || (wanted === "issuer" && step.do === "make-issuer")) wanted = null;
      done.push(step.do);
      assert.ok(done.length < 50, `no end of steps: ${done.join(" ")}`);
      this.#take(step);
      this.check(before);
    }
    return done;
  }

  #take(step: NonNullable<ReturnType<typeof nextStep>>): void {
    const { nowMs } = this;
    if (step.do === "make-root") {
      const id = `root-${++this.#ids}`;
      this.state = announceRoot(this.state, { id, notBeforeMs: nowMs, notAfterMs: nowMs + this.settings.rootLifetimeMs }, nowMs);
    } else if (step.do === "drop-root") {
      for (const leaf of this.leaves) assert.ok(leaf.rootId !== step.rootId || leaf.endMs < nowMs, "a leaf outlives its root");
      this.state = dropRoot(this.state, step.rootId, nowMs);
    } else {
      const root = this.state.roots.find(({ id }) => id === step.rootId)!;
      const issuer = {
        id: `issuer-${++this.#ids}`,
        rootId: root.id,
        notBeforeMs: nowMs,
        notAfterMs: issuerEndMs(root, this.settings, nowMs),
      };
      if (step.do === "activate-root") {
        const before = activeRoot(this.state);
        const hadToHurry = before === null || nowMs >= before.notAfterMs || nowMs < before.notBeforeMs;
        assert.ok(hadToHurry || nowMs - root.announcedAtMs >= this.settings.propagationMs, "signs before it was distributed");
      }
      this.state = step.do === "activate-root" ? activateRoot(this.state, issuer, nowMs) : replaceIssuer(this.state, issuer);
    }
  }

  sign(): void {
    const root = activeRoot(this.state)!;
    const issuer = issuerOf(this.state, root.id)!;
    const endMs = leafEndMs(root, issuer, this.settings, this.nowMs);
    assert.ok(endMs > this.nowMs, "a leaf that is over when it is signed");
    assert.ok(endMs <= issuer.notAfterMs && issuer.notAfterMs <= root.notAfterMs);
    this.state = noteLeaf(this.state, root.id, endMs, this.settings);
    this.leaves.push({ rootId: root.id, endMs });
  }

  check(before: RotationState): void {
    const { state } = this;
    assert.ok(state.roots.length > 0 && state.roots.length <= ROOTS_MAX);
    const bundle = (of: RotationState): string => of.roots.map(({ id }) => id).join();
    assert.equal(state.version > before.version, bundle(state) !== bundle(before), "the version counts the bundle's changes");
    assert.ok(state.roots.filter((root) => root.activatedAtMs !== null && root.retiredAtMs === null).length <= 1);
    assert.ok(state.roots.filter((root) => root.activatedAtMs === null).length <= 1);
    const ids = new Set(state.roots.map(({ id }) => id));
    for (const leaf of this.leaves) assert.ok(leaf.endMs <= this.nowMs || ids.has(leaf.rootId), "a valid leaf without its root");
    assert.ok(state.issuers.every(({ rootId }) => ids.has(rootId)));
  }
}

const event = fc.oneof(
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 100 * HOUR_MS }) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 2 * RECONNECT_MS }) }),
  fc.record({ kind: fc.constant("leave alone" as const), ms: fc.integer({ min: 0, max: 3_000 * HOUR_MS }) }),
  fc.record({ kind: fc.constant("restart" as const) }),
  fc.record({ kind: fc.constant("sign" as const) }),
  fc.record({ kind: fc.constant("ask" as const), what: fc.constantFrom("root" as const, "issuer" as const) }),
);

test("the invariants hold whatever happens", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200, size: "max" }), (events) => {
      const model = new Model();
      for (const it of events) {
        if (it.kind === "wait" || it.kind === "leave alone") model.nowMs += it.ms;
        if (it.kind === "restart" || it.kind === "leave alone") model.upSinceMs = model.nowMs;
        model.settle(it.kind === "ask" ? it.what : null);
        if (it.kind === "sign") model.sign();
      }
    }),
    { numRuns: 300 },
  );
});

test("looked after and signing every hour for ten roots' lives, nothing ever expires, and the bundle has one or two roots", () => {
  const model = new Model();
  let rootsMax = 0;
  const seen = new Set<string>();
  for (let hour = 0; hour < 10_000; hour++) {
    model.nowMs += HOUR_MS;
    model.settle();
    model.sign();
    assert.ok(model.leaves.at(-1)!.endMs >= model.nowMs + SETTINGS.leafLifetimeMs, "a leaf is cut short");
    rootsMax = Math.max(rootsMax, model.state.roots.length);
    for (const root of model.state.roots) seen.add(root.id);
  }
  assert.equal(rootsMax, 2);
  assert.ok(seen.size >= 14 && seen.size <= 17, `${seen.size} roots`);
});

test("a root goes through announced, active, retired and dropped, in this order and not earlier", () => {
  const model = new Model();
  const first = activeRoot(model.state)!;
  model.sign();
  assert.deepEqual(model.settle("root"), ["make-root"]);
  const next = nextRoot(model.state)!;
  assert.equal(model.state.roots.length, 2);
  model.nowMs += SETTINGS.propagationMs - 1;
  assert.deepEqual(model.settle(), []);
  assert.equal(activeRoot(model.state)!.id, first.id);
  model.sign();
  model.nowMs += 1;
  assert.deepEqual(model.settle(), ["activate-root"]);
  assert.equal(activeRoot(model.state)!.id, next.id);
  assert.equal(model.state.roots.length, 2);
  model.nowMs = model.leaves.at(-1)!.endMs + SETTINGS.skewMs;
  assert.deepEqual(model.settle(), []);
  model.nowMs += SETTINGS.leafLifetimeMs / 4 + SETTINGS.skewMs;
  assert.deepEqual(model.settle(), ["drop-root"]);
  assert.deepEqual(
    model.state.roots.map(({ id }) => id),
    [next.id],
  );
});

test("after a restart, proxies have a minute to fetch the bundle before an announced root is used", () => {
  const model = new Model();
  model.sign();
  model.settle("root");
  model.nowMs += 2 * SETTINGS.propagationMs;
  model.upSinceMs = model.nowMs;
  assert.deepEqual(model.settle(), []);
  model.nowMs += RECONNECT_MS;
  assert.deepEqual(model.settle(), ["activate-root"]);
});

test("when everything has expired, a new root signs at once", () => {
  const model = new Model();
  model.nowMs += 2 * SETTINGS.rootLifetimeMs;
  model.upSinceMs = model.nowMs;
  assert.deepEqual(model.settle(), ["make-root", "activate-root"]);
  model.sign();
  assert.equal(model.state.roots.length, 2, "the clock may be wrong");
  model.nowMs += DROP_AFTER_UP_MS;
  assert.deepEqual(model.settle(), ["drop-root"]);
});

test("a component that starts by a clock far ahead, which is then corrected: the root from before signs again, and what was issued is good", () => {
  const model = new Model();
  model.sign();
  const [first] = model.state.roots;
  const then = model.nowMs;
  model.nowMs = then + 3 * SETTINGS.rootLifetimeMs;
  model.upSinceMs = model.nowMs;
  model.settle();
  model.nowMs += 60_000;
  model.settle();
  assert.notEqual(activeRoot(model.state)!.id, first!.id);
  model.nowMs = then + HOUR_MS;
  assert.deepEqual(model.settle(), ["activate-root"]);
  assert.equal(activeRoot(model.state)!.id, first!.id);
  assert.equal(model.state.issuers.filter(({ rootId }) => rootId === first!.id).length, 1);
  model.sign();
  // From here on everything goes as ever.
  for (let hour = 0; hour < 2_000; hour++) {
    model.nowMs += HOUR_MS;
    model.settle();
    model.sign();
  }
  assert.notEqual(activeRoot(model.state)!.id, first!.id);
});

test("an issuer that was made by a clock ahead of the present one is replaced: nothing that it signs would be valid", () => {
  const model = new Model();
  model.nowMs += 150 * HOUR_MS;
  assert.deepEqual(model.settle(), ["make-issuer"]);
  model.nowMs -= 24 * HOUR_MS;
  assert.deepEqual(model.settle(), ["make-issuer"]);
  assert.deepEqual(model.settle(), []);
  model.sign();
});

test("a second request waits for the first: there is one announced root at most", () => {
  const model = new Model();
  assert.deepEqual(model.settle("root"), ["make-root"]);
  assert.deepEqual(model.settle("root"), []);
});

test("requests one after the other, each as soon as it may be, never make the bundle larger than allowed", () => {
  const model = new Model();
  for (let round = 0; round < 30; round++) {
    model.sign();
    model.settle("root");
    model.nowMs += SETTINGS.propagationMs / 8;
  }
});

test("near the root's end the issuer is not renewed again and again", () => {
  const model = new Model({ ...SETTINGS, issuerLifetimeMs: 990 * HOUR_MS, propagationMs: 900 * HOUR_MS });
  let issuers = 0;
  for (let hour = 0; hour < 999; hour++) {
    model.nowMs += HOUR_MS;
    issuers += model.settle().filter((step) => step === "make-issuer").length;
  }
  assert.ok(issuers <= 2, `${issuers} issuers`);
});

test("a clock that goes back changes nothing", () => {
  const model = new Model();
  model.sign();
  model.settle("root");
  model.nowMs -= 24 * HOUR_MS;
  assert.deepEqual(model.settle(), []);
});
