// Watches the trust bundle: one long-lived stream to the identity component, begun again whenever it breaks.
//
// A bundle counts because of the connection it came on, which was verified by the roots that are trusted now. When a root is
// dropped, the connection that it vouched for goes with it. Bundles are read in the short-lived thread, one at a time, and only the newest
// of those that wait: a component that sends thousands costs one thread.

import { Buffer } from "node:buffer";
import { digestOf, type ThreadAnswer, type TrustRoots } from "./certify-request.ts";
import { type ComponentPlace, connectComponent } from "./component-connection.ts";
import { GrpcConnection } from "./grpc-call.ts";
import { failureOf, type IdentityFailure } from "./identity-failure.ts";

const WATCH = "/weft.identity.v1.Trust/Watch";

export interface TrustStreamOptions {
  readonly place: ComponentPlace;
  /** The roots that are trusted at this moment. */
  readonly roots: () => TrustRoots;
  readonly read: (message: Uint8Array) => Promise<ThreadAnswer<TrustRoots>>;
  /** A bundle in another message than that of the present roots. */
  readonly onBundle: (roots: TrustRoots) => void;
  /** The component is there: the first message of a connection. */
  readonly onReached: () => void;
  readonly onFailure: (failure: IdentityFailure) => void;
  /** Milliseconds until the next try after so many failed ones. */
  readonly retryDelayMs: (failures: number) => number;
}

export class TrustStream {
  readonly #options: TrustStreamOptions;
  #connection: GrpcConnection | null = null;
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #hasReceived = false;
  #waiting: Buffer | null = null;
  #isReading = false;
  #isClosed = false;
  /** Of the connection; what belongs to an older one is forgotten. */
  #generation = 0;

  constructor(options: TrustStreamOptions) {
    this.#options = options;
    void this.#open();
  }

  /** The component is there: it has sent a bundle on the connection that is open. */
  get isWatching(): boolean {
    return this.#hasReceived;
  }

  /** Begins a new connection: the roots are others than those that the present one was verified by. */
  restart(): void {
    if (this.#isClosed) return;
    this.#drop();
    void this.#open();
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  async #open(): Promise<void> {
    const generation = this.#generation;
    const { place, roots } = this.#options;
    try {
      const socket = await connectComponent(place, { roots: roots().trust });
      if (generation !== this.#generation) {
        socket.destroy();
        return;
      }
      this.#connection = new GrpcConnection(socket);
      this.#connection.stream(WATCH, Buffer.alloc(0), {
        onMessage: (message) => {
          if (generation === this.#generation) this.#receive(message);
        },
        onEnd: (error) => {
          if (generation === this.#generation) this.#fail(error);
        },
      });
    } catch (error) {
      if (generation === this.#generation) this.#fail(error);
    }
  }

  #receive(message: Buffer): void {
    if (!this.#hasReceived) this.#options.onReached();
    this.#hasReceived = true;
    this.#failures = 0;
    // The newest counts: what waits to be read when it comes is never read.
    this.#waiting = digestOf(message) === this.#options.roots().trustDigest ? null : Buffer.from(message);
    if (this.#waiting !== null && !this.#isReading) void this.#readWaiting(this.#generation);
  }

  async #readWaiting(generation: number): Promise<void> {
    this.#isReading = true;
    while (this.#waiting !== null && generation === this.#generation) {
      const message = this.#waiting;
      this.#waiting = null;
      const answer = await this.#options.read(message);
      if (generation !== this.#generation) break;
      if ("ok" in answer) this.#options.onBundle(answer.ok);
      else this.#fail(answer.failure);
    }
    this.#isReading = false;
    if (this.#waiting !== null && !this.#isClosed) void this.#readWaiting(this.#generation);
  }

  #fail(error: unknown): void {
    this.#drop();
    this.#failures++;
    this.#options.onFailure("reason" in (error as object) ? (error as IdentityFailure) : failureOf(error));
    this.#timer = setTimeout(() => void this.#open(), this.#options.retryDelayMs(this.#failures)).unref();
  }

  #drop(): void {
    this.#generation++;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#connection?.close();
    this.#connection = null;
    this.#hasReceived = false;
    this.#waiting = null;
  }
}
