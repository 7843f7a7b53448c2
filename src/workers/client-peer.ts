// What is proven about who is at the other end of a client connection. The one place that asks.

import { ERRORS } from "../core/errors/error-codes.ts";
import type { Transport } from "./transport.ts";

export interface ClientPeer {
  /** The connection is mesh TLS: a proxy is there, which may be told reasons. */
  readonly isMeshed: boolean;
  /** The verified name in its certificate; null: none. */
  readonly identity: string | null;
}

const STRANGER: ClientPeer = { isMeshed: false, identity: null };

/** Listeners' own TLS asks clients for no certificate: they are strangers all. */
export function peerOf(_transport: Transport): ClientPeer {
  return STRANGER;
}

/** May this client be told why it got an answer of Weft's own? Of policies, only peers in the mesh hear (linkerd.md 6.4). */
export function mayHearReason(errorId: number, transport: Transport): boolean {
  return errorId !== ERRORS.WEFT_UNAUTHORIZED.id || peerOf(transport).isMeshed;
}
