// What is counted about the connections of one kind: tcp_open_total, tcp_open_connections, tcp_read_bytes_total,
// tcp_write_bytes_total, tcp_close_total.
//
// One of these serves all connections with the same labels (a listener's clients, an endpoint's pool). Series are
// registered by the first connection. Invariant: open connections = opened - closed, also when a worker dies with
// some open: the supervisor then counts them as closed with errno `worker_lost` (metric-store.ts).

import type { Labels } from "./labels.ts";
import type { Recorder } from "./recorder.ts";

/** Labels of a transport (linkerd.md 2.3): the peer is `src` towards the client, `dst` towards the service. */
export interface TransportLabels {
  readonly direction: "outbound" | "inbound";
  readonly peer: "src" | "dst";
  readonly tls: "true" | "no_identity" | "disabled" | "opaque";
  readonly [name: string]: string;
}

export class TransportMetrics {
  readonly #recorder: Recorder;
  readonly #labels: TransportLabels;
  readonly #closes = new Map<string, number>();
  #opens = -1;
  #open = -1;
  #read = -1;
  #write = -1;

  constructor(recorder: Recorder, labels: TransportLabels) {
    this.#recorder = recorder;
    this.#labels = labels;
  }

  /** Slot for bytes read from the peer: `slots[readSlot] += bytes`. */
  get readSlot(): number {
    if (this.#read < 0) this.#register();
    return this.#read;
  }

  /** Slot for bytes written to the peer. */
  get writeSlot(): number {
    if (this.#write < 0) this.#register();
    return this.#write;
  }

  /** A connection was accepted, or a connect succeeded. */
  opened(): void {
    if (this.#opens < 0) this.#register();
    this.#recorder.slots[this.#opens]! += 1;
    this.#recorder.slots[this.#open]! += 1;
  }

  /** A connection that was opened is gone. `errno`: "" for a clean end, else symbolic (`ECONNRESET`). Once per connection. */
  closed(errno: string): void {
    if (this.#opens < 0) this.#register();
    let slot = this.#closes.get(errno);
    if (slot === undefined) {
      slot = this.#recorder.counter("tcp_close_total", closeLabels(this.#labels, errno));
      this.#closes.set(errno, slot);
    }
    this.#recorder.slots[slot]! += 1;
    this.#recorder.slots[this.#open]! -= 1;
  }

  #register(): void {
    this.#opens = this.#recorder.counter("tcp_open_total", this.#labels);
    this.#open = this.#recorder.gauge("tcp_open_connections", this.#labels);
    this.#read = this.#recorder.counter("tcp_read_bytes_total", this.#labels);
    this.#write = this.#recorder.counter("tcp_write_bytes_total", this.#labels);
  }
}

/** Labels of tcp_close_total for a transport. */
export function closeLabels(labels: Labels, errno: string): Labels {
  return { ...labels, errno };
}
