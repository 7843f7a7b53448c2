// Who is at the other end of a client connection, as far as that is proven, and what metrics call it. Linkerd's words (linkerd.md 2.2).

import { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import { normalizeHostName } from "../core/route/authority.ts";
import { identityName, type WorkloadIdentity } from "../core/identity/names.ts";

export interface ClientPeer {
  /** The connection is mesh TLS: a proxy is there. */
  readonly isMeshed: boolean;
  /** The verified name in its certificate, in its DNS form; null: none was shown. */
  readonly identity: string | null;
  /** The same as `l5d-client-id` has it. */
  readonly header: Buffer | null;
  /** `tls`, and `client_id`, `no_tls_reason` or `sni`. */
  readonly labels: PeerLabels;
}

export interface PeerLabels {
  readonly tls: "true" | "no_identity" | "opaque";
  readonly no_tls_reason?: string;
  readonly client_id?: string;
  /** Whom an application's own TLS asks for. */
  readonly sni?: string;
}

/** Server names per thread that have labels of their own: whoever connects can make up any number. */
const SERVER_NAMES_MAX = 64;

const stranger = (labels: PeerLabels): ClientPeer => ({ isMeshed: false, identity: null, header: null, labels });

/** Of a proxy that is in no mesh, and of outbound listeners, where applications connect. */
export const STRANGER: ClientPeer = stranger({ tls: "no_identity", no_tls_reason: "disabled" });
/** Of a listener that has a certificate for everybody. */
export const EDGE_CLIENT: ClientPeer = stranger({ tls: "true" });
/** An application beside a proxy that is in a mesh. */
export const LOCAL_CLIENT: ClientPeer = stranger({ tls: "no_identity", no_tls_reason: "loopback" });
/** Somebody who could have come by mesh TLS and did not. */
export const PLAIN_CLIENT: ClientPeer = stranger({ tls: "no_identity", no_tls_reason: "no_tls_from_remote" });
/** The application's own TLS, which is passed on as it is; it names no server, or none that could be one. */
const FOREIGN_TLS_CLIENT: ClientPeer = stranger({ tls: "opaque" });
/** One that asks for one of the names over the limit. */
const OTHER_FOREIGN_TLS_CLIENT: ClientPeer = stranger({ tls: "opaque", sni: "other" });
/** Mesh TLS, and no certificate was offered. */
export const ANONYMOUS_CLIENT: ClientPeer = { ...stranger({ tls: "true", client_id: "" }), isMeshed: true };

/** Mesh TLS with a certificate that was verified. */
export function verifiedClient(identity: WorkloadIdentity): ClientPeer {
  const name = identityName(identity);
  return { isMeshed: true, identity: name, header: Buffer.from(name, "latin1"), labels: { tls: "true", client_id: name } };
}

/** Clients whose TLS is the application's own, by whom they ask for. */
export class ForeignTlsClients {
  readonly #byName = new Map<string, ClientPeer>();

  /** `serverName`: of the hello, null without one. */
  get(serverName: string | null): ClientPeer {
    const name = serverName === null ? null : normalizeHostName(serverName);
    if (name === null) return FOREIGN_TLS_CLIENT;
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.#byName.size >= SERVER_NAMES_MAX) return OTHER_FOREIGN_TLS_CLIENT;
    const peer = stranger({ tls: "opaque", sni: name });
    this.#byName.set(name, peer);
    return peer;
  }
}

/** It has proven to be a proxy of the mesh: what it says of its own clients counts (core/h2/orig-proto.ts). */
export function isProxy(peer: ClientPeer): boolean {
  return peer.isMeshed && peer.identity !== null;
}

/** May this client be told why it got an answer of Weft's own? Of policies, only peers in the mesh hear (linkerd.md 6.4). */
export function mayHearReason(errorId: number, peer: ClientPeer): boolean {
  return errorId !== ERRORS.WEFT_UNAUTHORIZED.id || peer.isMeshed;
}
