// Whose policy counts for the connections to one port: that of the port's own rules, else that of the transparent listener which took them.
//
// Where a connection goes is settled when it comes. Which rules there are for its port is not: a port gets rules, loses them and gets them
// again while connections to it are open. So the gate is looked up again at the first question after each update of the listeners.
// Where there is none any more (a listener that has gone), the last one counts on for the connections that it has let in.

import type { InboundGate } from "./inbound-gate.ts";

/** The listeners, by what they are called; of a transparent listener also its ports with rules of their own. */
export interface Gates {
  /** Another one after each update. */
  readonly version: number;
  gateOf(listenerId: string): InboundGate | undefined;
}

/** What the inbound listener is called, and its further ports. */
export const INBOUND_ID = "inbound";

export function inboundPortId(port: number): string {
  return `${INBOUND_ID}/${port}`;
}

export class PortGate {
  readonly #gates: Gates;
  readonly #id: string;
  readonly #isTransparent: boolean;
  #version: number;
  #current: InboundGate;

  /** `current`: the gate of the listener `id`. */
  constructor(gates: Gates, id: string, isTransparent: boolean, current: InboundGate) {
    this.#gates = gates;
    this.#id = id;
    this.#isTransparent = isTransparent;
    this.#version = gates.version;
    this.#current = current;
  }

  /** The one for connections that a transparent listener took for this port. */
  ofPort(port: number): PortGate {
    const gate = new PortGate(this.#gates, inboundPortId(port), true, this.current);
    gate.#look();
    return gate;
  }

  /** The gate to ask now; not to be kept. */
  get current(): InboundGate {
    if (this.#version !== this.#gates.version) this.#look();
    return this.#current;
  }

  #look(): void {
    this.#version = this.#gates.version;
    const other = this.#isTransparent ? this.#gates.gateOf(INBOUND_ID) : undefined;
    this.#current = this.#gates.gateOf(this.#id) ?? other ?? this.#current;
  }
}
