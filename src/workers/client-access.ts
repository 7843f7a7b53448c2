// What a connection's requests have in common on their way to a service: the policy's pass, and the client's address as text.

import { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { MessageHead } from "../core/http/head.ts";
import { type ClientPeer, STRANGER } from "./client-peer.ts";
import type { ForwarderContext, ListenerState } from "./forwarder-context.ts";
import type { Pass } from "./inbound-gate.ts";
import { splitAddress } from "./own-listeners.ts";
import type { Route } from "./router.ts";
import { isStraightKey } from "./straight-services.ts";
import type { Transport } from "./transport.ts";

export class ClientAccess {
  readonly #context: ForwarderContext;
  readonly #listener: ListenerState;
  readonly #transport: Transport;
  #pass: Pass | null = null;
  /** Of the port that the last tunnel was for. */
  tunnelGate: ListenerState["gate"] = null;
  #forwardedFor: Buffer | null = null;

  constructor(context: ForwarderContext, listener: ListenerState, transport: Transport) {
    this.#context = context;
    this.#listener = listener;
    this.#transport = transport;
  }

  /** An answer of Weft's own, or an exchange that broke, among the errors of the side that the client came in at. */
  countError(label: string): void {
    this.#context.counters.httpError(this.#listener.snapshot.direction, label);
  }

  get direction(): "inbound" | "outbound" {
    return this.#listener.snapshot.direction;
  }

  /** The client's address for X-Forwarded-For, null while `forwarded` is off. */
  get forwardedFor(): Buffer | null {
    if (!this.#context.forwarded) return null;
    this.#forwardedFor ??= Buffer.from(this.#transport.peerAddress().address, "latin1");
    return this.#forwardedFor;
  }

  /** Who the client is to the service, null where nobody asks: outbound, and in no mesh. */
  get peer(): ClientPeer | null {
    const { peer } = this.#transport;
    return peer === STRANGER || this.#listener.snapshot.direction === "outbound" ? null : peer;
  }

  /** Where a request goes; nowhere when the listener's policy refuses it. Counts it there. */
  route(head: MessageHead): Route {
    const { router } = this.#context;
    const { fixedService } = this.#listener;
    if (!this.admitsRequest()) return this.#refusal(fixedService);
    return fixedService === null ? router.route(head) : router.routeTo(fixedService);
  }

  /** Where another proxy's tunnel goes: to what stands behind the inbound port that it names, if that port's policy admits the proxy. */
  tunnelRoute(head: MessageHead): Route {
    const authority = head.text(head.authorityStart, head.authorityEnd);
    const port = Number(authority.slice(authority.lastIndexOf(":") + 1));
    const named = this.#context.inboundListener(port);
    const listener = named === null || named.fixedService === null ? this.#redirectedTo(port) : named;
    if (listener === null || listener.fixedService === null) return nowhere(ERRORS.WEFT_NO_TARGET.id, authority);
    const { protocol } = listener.snapshot;
    if (protocol !== "opaque" && protocol !== "detect") return nowhere(ERRORS.WEFT_OPAQUE_NOT_ALLOWED.id, authority);
    this.tunnelGate = listener.gate;
    if (listener.gate?.current.admitConnection(this.#transport) === false) return this.#refusal(listener.fixedService, listener);
    return this.#context.router.routeTo(listener.fixedService);
  }

  /** Of a connection that was redirected here: it goes on to where it was going, if that is the port in question. */
  #redirectedTo(port: number): ListenerState | null {
    const { fixedService } = this.#listener;
    if (fixedService === null || !isStraightKey(fixedService)) return null;
    const endpoints = this.#context.router.fixed(fixedService)?.config.endpoints ?? [];
    return endpoints.some((address) => splitAddress(address).port === port) ? this.#listener : null;
  }

  /** Counts a request at the listener's policy. */
  admitsRequest(): boolean {
    if (this.#listener.gate === null) return true;
    const gate = this.#listener.gate.current;
    if (!gate.isCurrent(this.#pass)) this.#pass = gate.passOf(this.#transport);
    return gate.admitRequest(this.#pass, this.#transport);
  }

  #refusal(key: string | null, listener = this.#listener): Route {
    const service = key === null ? null : this.#context.router.fixed(key);
    return { service, protocol: "detect", errorId: ERRORS.WEFT_UNAUTHORIZED.id, detail: listener.gate?.current.policyName ?? "" };
  }

  /** After a change of the policy: may a tunnel of this client stay? False is counted as a connection that is cut. */
  mayStay(gate = this.#listener.gate): boolean {
    return gate?.current.mayStay(this.#transport) ?? true;
  }
}

function nowhere(errorId: number, detail: string): Route {
  return { service: null, protocol: "detect", errorId, detail };
}
