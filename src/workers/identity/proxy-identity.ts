// The proxy's identity through its life: one client for the present source, another one when a reload says so.
//
// What is in use stays in use until the next client has something: a reload that moves the identity component closes no connection.

import type { IdentitySource, MeshIdentity } from "../../config/snapshot.ts";
import type { Log } from "../forwarder-types.ts";
import type { Certified } from "./certify-request.ts";
import { certifyInThread, readBundleInThread } from "./certifier-thread.ts";
import { ClockWatch, SystemClock } from "./clock.ts";
import { IdentityClient, type IdentityMetrics } from "./identity-client.ts";
import { failureOf } from "./identity-failure.ts";
import { type IdentityStatus, identityStatus } from "./identity-status.ts";

export interface ProxyIdentityMetrics extends IdentityMetrics {
  clockJumped(): void;
}

export interface ProxyIdentityOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly onIdentity: (identity: MeshIdentity) => void;
  /** Asked for when there is something to count. */
  readonly metrics: () => ProxyIdentityMetrics;
  readonly log: Log;
}

export class ProxyIdentity {
  /** Its offset is for tests. */
  readonly clock = new SystemClock();
  readonly #options: ProxyIdentityOptions;
  #client: IdentityClient | null = null;
  #watch: ClockWatch | null = null;
  #metrics: ProxyIdentityMetrics | null = null;
  #source = "";

  constructor(options: ProxyIdentityOptions) {
    this.#options = options;
  }

  /** Begins; resolves with the first certificate, at once for a proxy that gets none. Rejects with an IdentityError (`keep`). */
  async start(source: IdentitySource | undefined, inherited: Certified | null = null): Promise<void> {
    this.#source = JSON.stringify(source);
    if (source?.kind !== "controller") return;
    const { environment, onIdentity, log } = this.#options;
    const metrics = (this.#metrics ??= this.#options.metrics());
    this.#watch ??= new ClockWatch(this.clock, (byMs) => this.#clockJumped(byMs));
    const client = new IdentityClient({
      source,
      inherited,
      environment,
      clock: this.clock,
      random: Math.random,
      certify: certifyInThread,
      readBundle: readBundleInThread,
      onIdentity: (identity) => {
        if (this.#client === client) onIdentity(identity);
      },
      metrics,
      log,
    });
    this.#client = client;
    await client.start();
    await client.ready;
  }

  /** A reload. Nothing is waited for. */
  apply(source: IdentitySource | undefined): void {
    if (JSON.stringify(source) === this.#source) return;
    const inherited = this.#client?.held ?? null;
    this.#client?.close();
    this.#client = null;
    this.start(source, inherited).catch((error: unknown) => {
      this.#options.log("error", "the new spec.identity does not work: the certificate in use stays, and is not renewed", {
        error: failureOf(error).message,
      });
    });
  }

  /** What the admin port shows. `used`: the identity in use; null before the first. */
  status(source: IdentitySource | undefined, used: MeshIdentity | null): IdentityStatus | null {
    return identityStatus(source, used, this.#client?.progress ?? null, this.clock.now());
  }

  /** Looks at the clock now; for tests. */
  lookAtClock(): void {
    this.#watch?.look();
  }

  close(): void {
    this.#watch?.close();
    this.#client?.close();
  }

  #clockJumped(byMs: number): void {
    this.#metrics?.clockJumped();
    this.#options.log("warn", "the clock jumped: what is valid stays in use, renewals are planned anew", { byMs });
    this.#client?.clockJumped();
  }
}
