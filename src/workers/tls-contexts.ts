// The TLS contexts of one thread, one per listener that has a certificate, and what is counted about their handshakes.
//
// A certificate that changes makes a new context: new connections get it, those that are open keep theirs. A pair that
// OpenSSL does not take (the loader has tried it before) leaves the old one where it was.

import type { CertificateSnapshot, ListenerSnapshot, NamedCertificate, Protocol } from "../config/snapshot.ts";
import type { Recorder } from "../core/telemetry/recorder.ts";
import type { Log } from "./forwarder-types.ts";
import { alpnOf, TlsContext } from "./tls-context.ts";
import type { HandshakeDesk, HandshakeResult } from "./tls-connection.ts";

interface Entry {
  readonly certificate: CertificateSnapshot;
  readonly protocol: Protocol;
  readonly context: TlsContext;
}

export class TlsContexts implements HandshakeDesk {
  readonly #recorder: Recorder;
  readonly #log: Log;
  readonly #entries = new Map<string, Entry>();
  /** Contexts that were replaced while handshakes were under way in them. */
  #leaving: TlsContext[] = [];
  readonly #slots = new Map<string, number>();
  #ticketKeys: Uint8Array | null = null;

  constructor(recorder: Recorder, log: Log) {
    this.#recorder = recorder;
    this.#log = log;
  }

  /** The context of a listener; null where it has none. */
  get(listener: string): TlsContext | null {
    return this.#entries.get(listener)?.context ?? null;
  }

  /** Every handshake under way in this thread. */
  get inProgress(): number {
    let count = 0;
    for (const { context } of this.#entries.values()) count += context.inProgress;
    for (const context of this.#leaving) count += context.inProgress;
    return count;
  }

  count(direction: string, result: HandshakeResult): void {
    const key = `${direction} ${result}`;
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#recorder.counter("tls_handshakes_total", { direction, result });
      this.#slots.set(key, slot);
    }
    this.#recorder.slots[slot]! += 1;
  }

  /** For all contexts there are and will be. */
  setTicketKeys(keys: Uint8Array): void {
    this.#ticketKeys = keys;
    for (const { context } of this.#entries.values()) context.setTicketKeys(keys);
  }

  /** Makes what is new or has changed; forgets what is gone. */
  update(listeners: readonly ListenerSnapshot[], certificates: readonly CertificateSnapshot[]): void {
    this.#leaving = this.#leaving.filter((context) => context.inProgress > 0);
    const wanted = new Map(certificates.map((certificate) => [certificate.listener, certificate]));
    for (const [listener, { context }] of this.#entries) {
      if (wanted.has(listener)) continue;
      this.#leaving.push(context);
      this.#entries.delete(listener);
    }
    for (const listener of listeners) {
      const certificate = wanted.get(listener.id);
      if (certificate !== undefined) this.#set(listener, certificate);
    }
  }

  #set(listener: ListenerSnapshot, certificate: CertificateSnapshot): void {
    const { protocol } = listener;
    const known = this.#entries.get(listener.id);
    if (known !== undefined && protocol === known.protocol && isSame(known.certificate, certificate)) return;
    try {
      const options = { scope: listener.id, alpn: alpnOf(protocol), ticketKeys: this.#ticketKeys };
      this.#entries.set(listener.id, { certificate, protocol, context: TlsContext.forListener(certificate, options) });
      if (known !== undefined) this.#leaving.push(known.context);
    } catch (error) {
      this.#log("error", "a certificate cannot be used", { listener: listener.id, error: (error as Error).message });
    }
  }
}

/** The same certificates in the same order: their names follow from them. */
function isSame(a: CertificateSnapshot, b: CertificateSnapshot): boolean {
  const all = (one: CertificateSnapshot): readonly NamedCertificate[] => [one, ...one.others];
  const [left, right] = [all(a), all(b)];
  return left.length === right.length && left.every(({ cert, key }, i) => cert === right[i]!.cert && key === right[i]!.key);
}
