// The proxy's certificate: where it comes from first, when the next one is due, and what is trusted meanwhile. Main thread.
//
//   kept (spec.identity.keep) ---------------------------+
//                                                        v
//   none --- by token, until it works -------------->  held  --- at 0.6 to 0.7 of its life, by itself -->  held
//                                                        |  \-- failed: again after a while, it stays in use
//                                                        v
//                                         ended: said loudly, by token, until it works --> held
//
// What is held stays in use until something better has been checked; a failure takes nothing away. One attempt at a time. The
// roots come with each certificate, on the same verified connection, and between two from the trust stream.

import { countLife, isPerhapsValid, type Life, renewalDelayMs, retryDelayMs } from "../../core/identity/renewal.ts";
import { identityName } from "../../core/identity/names.ts";
import { formatHostPort } from "../../config/address.ts";
import type { IdentitySource, MeshIdentity } from "../../config/snapshot.ts";
import type { Log } from "../forwarder-types.ts";
import type { Certified, CertifyRequest, IdentityProof, ReadBundleRequest, ThreadAnswer, TrustRoots } from "./certify-request.ts";
import type { Clock } from "./clock.ts";
import { failureOf, IdentityError, type FailureReason, type IdentityFailure } from "./identity-failure.ts";
import { KeptIdentity } from "./kept-identity.ts";
import { type HeldToken, readToken } from "./read-token.ts";
import { componentOf, reachComponent } from "./component-place.ts";
import { TrustStream } from "./trust-stream.ts";

/** Plans are looked at again after so long at most: a timer holds 24 days, and a wall clock that is steered wanders. */
const PLAN_MS_MAX = 3_600_000;

export type ControllerSource = Extract<IdentitySource, { readonly kind: "controller" }>;

export interface IdentityClientOptions {
  readonly source: ControllerSource;
  /** What the proxy used before a reload; null at its start. */
  readonly inherited: Certified | null;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly random: () => number;
  readonly certify: (request: CertifyRequest) => Promise<ThreadAnswer<Certified>>;
  readonly readBundle: (request: ReadBundleRequest) => Promise<ThreadAnswer<TrustRoots>>;
  /** Another certificate, or other roots. */
  readonly onIdentity: (identity: MeshIdentity) => void;
  readonly metrics: IdentityMetrics;
  readonly log: Log;
}

/** Seconds since 1970. */
export interface IdentityMetrics {
  expires(atS: number): void;
  refreshed(atS: number): void;
  failed(reason: FailureReason): void;
  trusts(version: number): void;
}

/** How it goes, for whoever asks a running proxy. Times are milliseconds since 1970. */
export interface IdentityProgress {
  /** The identity that is asked for; null: the token does not say yet. */
  readonly name: string | null;
  readonly held: Certified | null;
  /** Attempts in a row that got nothing. */
  readonly failures: number;
  readonly lastFailure: (IdentityFailure & { readonly at: number }) | null;
  /** Null while one is under way. */
  readonly nextAttemptAt: number | null;
  /** The component is there, by the trust stream. */
  readonly isWatching: boolean;
}

export class IdentityClient {
  /** Resolves with the first certificate. */
  readonly ready: Promise<void>;
  readonly #options: IdentityClientOptions;
  #onReady: () => void = () => undefined;
  #keep: KeptIdentity | null = null;
  #held: Certified | null = null;
  #life: Life | null = null;
  #stream: TrustStream | null = null;
  #cancel: () => void = () => undefined;
  /** Attempts in a row that got nothing. */
  #failures = 0;
  #lastFailure: IdentityProgress["lastFailure"] = null;
  /** Of the token, as it was read last. */
  #wanted: string | null = null;
  /** Monotonic: not before then, after a failure. */
  #retryAt = 0;
  /** An attempt is under way, or what is there already has not been looked at: a clock that jumps meanwhile starts no other. */
  #isBusy = true;
  /** Roots came while it was busy: what is held then has to be kept with them. */
  #mustKeep = false;
  /** The end of what is being kept: one after the other, so that the last one stays. */
  #keeping: Promise<void> = Promise.resolve();
  #hasSaidEnded = false;
  /** And the log says so. */
  #isStreamBroken = false;
  #isClosed = false;

  constructor(options: IdentityClientOptions) {
    this.#options = options;
    this.ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
  }

  /** Uses what there is already, if it is good, and begins. Rejects with an IdentityError when the folder cannot hold secrets. */
  async start(): Promise<void> {
    const { source, inherited, log } = this.#options;
    const token = await this.#token().catch((error: IdentityError) => error);
    const name = token instanceof IdentityError ? null : identityName(token.identity);
    if (source.keep !== null) this.#keep = await KeptIdentity.open(source.keep);
    if (inherited !== null && (name === null || name === inherited.name)) {
      this.#hold(inherited);
      await this.#keepOnDisk(inherited);
    } else if (this.#keep !== null && source.keep !== null) await this.#useKept(this.#keep, source.keep, name);
    this.#isBusy = false;
    if (this.#isClosed) return;
    if (this.#held === null) {
      log("info", "waiting for the first certificate", {
        controller: formatHostPort(source.controller),
        ...(name !== null && { identity: name }),
      });
    }
    this.#plan();
  }

  /** The wall clock is another than it was: every plan by it is made again. What is held stays. */
  clockJumped(): void {
    if (!this.#isClosed) this.#plan();
  }

  /** The certificate in use, for whoever follows. */
  get held(): Certified | null {
    return this.#held;
  }

  get progress(): IdentityProgress {
    const now = this.#options.clock.now();
    return {
      name: this.#held?.name ?? this.#wanted,
      held: this.#held,
      failures: this.#failures,
      lastFailure: this.#lastFailure,
      isWatching: this.#stream?.isWatching ?? false,
      nextAttemptAt: this.#isBusy ? null : now + Math.max(0, this.#dueMs(now, this.#options.clock.monotonic())),
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
    this.#stream?.close();
  }

  async #useKept(keep: KeptIdentity, folder: string, wanted: string | null): Promise<void> {
    const { clock, log } = this.#options;
    const found = await keep.read(clock.now());
    if (found === null) return;
    if ("problem" in found) {
      log("warn", "the kept certificate is of no use: the token must do", { keep: folder, reason: found.problem });
      return;
    }
    const { kept } = found;
    if (wanted !== null && wanted !== kept.name) {
      log("warn", "the kept certificate is another workload's than the token", { keep: folder, kept: kept.name });
      return;
    }
    log("info", "the kept certificate serves", { identity: kept.name, notAfter: isoTime(kept.notAfter) });
    this.#hold(kept);
  }

  /** Sets the timer for what is next: an attempt, or the end of what is held. */
  #plan(): void {
    this.#cancel();
    if (this.#isClosed || this.#isBusy) return;
    if (this.#mustKeep && this.#held !== null) {
      this.#mustKeep = false;
      void this.#keepOnDisk(this.#held);
    }
    const { clock } = this.#options;
    const now = clock.now();
    const monotonic = clock.monotonic();
    const hasEnded = this.#held !== null && now >= this.#held.notAfter;
    if (hasEnded && !this.#hasSaidEnded) this.#sayEnded();
    const dueMs = this.#dueMs(now, monotonic);
    if (dueMs <= 0) {
      void this.#attempt();
      return;
    }
    const endMs = this.#held === null || hasEnded ? PLAN_MS_MAX : this.#held.notAfter - now;
    this.#cancel = clock.schedule(() => this.#plan(), Math.ceil(Math.min(dueMs, endMs, PLAN_MS_MAX)));
  }

  /** Until the next attempt. */
  #dueMs(now: number, monotonic: number): number {
    if (this.#failures > 0) return this.#retryAt - monotonic;
    return this.#life === null ? 0 : renewalDelayMs(this.#life, now, monotonic);
  }

  #sayEnded(): void {
    this.#hasSaidEnded = true;
    // Attempts were rare while it was good.
    this.#retryAt = 0;
    const { notAfter, name } = this.#held!;
    this.#options.log("error", "the certificate has ended: other proxies refuse this one until there is a new one", {
      identity: name,
      notAfter: isoTime(notAfter),
      controller: formatHostPort(this.#options.source.controller),
    });
  }

  async #attempt(): Promise<void> {
    this.#isBusy = true;
    const failure = await this.#renew().catch(failureOf);
    this.#isBusy = false;
    if (this.#isClosed) return;
    if (failure !== null) this.#failed(failure);
    this.#plan();
  }

  /** One attempt; null when there is a new certificate. */
  async #renew(): Promise<IdentityFailure | null> {
    const { source, clock } = this.#options;
    // A thread for each attempt is too much to learn that nobody is there.
    if (this.#failures > 0) await reachComponent(source.controller);
    const held = this.#held;
    const life = this.#life;
    let failure: IdentityFailure | null = null;
    if (held !== null && life !== null && isPerhapsValid(life, clock.now(), clock.monotonic())) {
      const { name, ...proof } = held;
      failure = await this.#certify(name, { kind: "certificate", ...proof });
      if (failure === null || !mayTokenHelp(failure.reason)) return failure;
    }
    const token = await this.#token().catch((error: IdentityError) => error);
    // What the certificate was refused for says more than that there is no token.
    if (token instanceof IdentityError) return failure ?? failureOf(token);
    return this.#certify(identityName(token.identity), { kind: "token", token: token.text, pinned: token.roots });
  }

  async #certify(name: string, proof: IdentityProof): Promise<IdentityFailure | null> {
    if (this.#isClosed) return null;
    const { source, clock, certify, log } = this.#options;
    const place = componentOf(source.controller, name);
    const answer = await certify({ kind: "certify", place, name, proof, clockOffsetMs: clock.offsetMs });
    if ("failure" in answer) return answer.failure;
    if (this.#isClosed) return null;
    const certified = answer.ok;
    const isFirst = this.#held === null;
    log(isFirst ? "info" : "debug", isFirst ? "the first certificate" : "a new certificate", {
      identity: name,
      by: proof.kind,
      notAfter: isoTime(certified.notAfter),
    });
    this.#failures = 0;
    this.#options.metrics.refreshed(certified.issuedAt / 1000);
    // Kept before it is used: a printed token is used up, so nothing else would bring the proxy back after a crash.
    await this.#keepOnDisk(certified);
    if (!this.#isClosed) this.#hold({ ...certified, ...this.#newerRoots(certified, proof) });
    return null;
  }

  /** The stream may have brought newer roots while the certificate was made; with a token, what came with it is where trust begins. */
  #newerRoots(certified: Certified, proof: IdentityProof): TrustRoots {
    const held = this.#held;
    const isNewer = held !== null && proof.kind === "certificate" && held.trustVersion > certified.trustVersion;
    const { trust, trustVersion, trustDigest } = isNewer ? held : certified;
    return { trust, trustVersion, trustDigest };
  }

  /** From here on this is who the proxy is, and whom it trusts. */
  #hold(certified: Certified): void {
    const { clock, random, metrics } = this.#options;
    const before = this.#held;
    this.#held = certified;
    this.#life = countLife(certified.issuedAt, certified.validUntil, clock.now(), clock.monotonic(), random());
    this.#hasSaidEnded = false;
    metrics.expires(certified.notAfter / 1000);
    metrics.trusts(certified.trustVersion);
    this.#tell();
    this.#onReady();
    if (before?.name !== certified.name) {
      this.#stream?.close();
      this.#stream = this.#watchTrust(certified.name);
    } else if (before.trust !== certified.trust) this.#stream?.restart();
  }

  #tell(): void {
    const { name, cert, key, trust } = this.#held!;
    this.#options.onIdentity({ name, cert, key, trust });
  }

  #watchTrust(name: string): TrustStream {
    const { source, readBundle, random, log } = this.#options;
    return new TrustStream({
      place: componentOf(source.controller, name),
      roots: () => this.#held!,
      read: (message) => readBundle({ kind: "bundle", message }),
      onBundle: (roots) => this.#trust(roots),
      onReached: () => this.#reached(),
      onFailure: ({ reason, message }) => {
        // Once: it is tried again every few seconds for as long as the component is away.
        log(this.#isStreamBroken ? "debug" : "info", "the trust stream broke", { reason, error: message });
        this.#isStreamBroken = true;
        // Our roots are no longer the component's: its data were lost, or we slept through a rotation. The token may bring new ones.
        if (reason === "untrusted" && this.#failures === 0 && !this.#isBusy) void this.#attempt();
      },
      retryDelayMs: (failures) => retryDelayMs(failures, this.#life === null ? null : this.#life.until - this.#life.from, random()),
    });
  }

  /** The component is back: an attempt that waits for that need not wait longer. */
  #reached(): void {
    if (this.#isStreamBroken) this.#options.log("info", "the trust stream is back", {});
    this.#isStreamBroken = false;
    if (this.#failures === 0 || this.#isBusy) return;
    this.#retryAt = 0;
    this.#plan();
  }

  #trust(roots: TrustRoots): void {
    const { trust, trustVersion } = roots;
    const held = this.#held!;
    const { log, metrics } = this.#options;
    if (trustVersion < held.trustVersion) {
      log("warn", "an older trust bundle was not taken", { version: trustVersion, held: held.trustVersion });
      return;
    }
    this.#held = { ...held, ...roots };
    metrics.trusts(trustVersion);
    log("info", "other roots are trusted", { version: trustVersion });
    if (trust !== held.trust) {
      this.#tell();
      this.#stream?.restart();
    }
    // Not in the place of a certificate that is being kept, and is not held before it is.
    if (this.#isBusy) this.#mustKeep = true;
    else void this.#keepOnDisk(this.#held);
  }

  async #keepOnDisk(certified: Certified): Promise<void> {
    this.#keeping = this.#keeping.then(() => this.#write(certified));
    await this.#keeping;
  }

  async #write(certified: Certified): Promise<void> {
    try {
      await this.#keep?.write(certified);
    } catch (error) {
      const { reason, message } = failureOf(error);
      this.#options.metrics.failed(reason);
      this.#options.log("error", "the certificate cannot be kept: it would not survive a restart", { error: message });
    }
  }

  #failed({ reason, message }: IdentityFailure): void {
    const { source, clock, random, metrics, log } = this.#options;
    const isValid = this.#held !== null && clock.now() < this.#held.notAfter;
    this.#failures++;
    this.#lastFailure = { reason, message, at: clock.now() };
    const delayMs = retryDelayMs(this.#failures, isValid && this.#life !== null ? this.#life.until - this.#life.from : null, random());
    this.#retryAt = clock.monotonic() + delayMs;
    metrics.failed(reason);
    log(isValid ? "warn" : "error", isValid ? "the certificate was not renewed" : "there is no certificate", {
      reason,
      error: message,
      controller: formatHostPort(source.controller),
      retryMs: delayMs,
      ...(isValid && { notAfter: isoTime(this.#held!.notAfter) }),
    });
  }

  async #token(): Promise<HeldToken> {
    const { source, environment } = this.#options;
    const token = await readToken(source.tokenFile, environment, source.tokenTrust ?? null);
    this.#wanted = identityName(token.identity);
    return token;
  }
}

/** Nobody was reached, or it has no certificate for anybody: then a token changes nothing. */
function mayTokenHelp(reason: FailureReason): boolean {
  return reason === "untrusted" || reason === "refused";
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
