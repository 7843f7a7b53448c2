// What the forwarder keeps of each client connection, whatever it speaks. Types only.

import type { ClientPeer } from "./client-peer.ts";
import type { ListenerState } from "./forwarder-context.ts";
import type { Service } from "./service.ts";
import type { Transport } from "./transport.ts";

export interface ClientConnection {
  /** Finish what is in flight, begin nothing. */
  drain(): void;
  /** End now. */
  cut(): void;
  /** The listener's policy has changed: what is no exchange of HTTP ends now where it is not admitted any more. */
  recheck(): void;
}

export interface ClientOwner {
  /** The connection is gone; once per connection. */
  onConnectionClosed(connection: ClientConnection, errno: number): void;
  /** The protocol is known: `next` takes the place of `previous`. */
  replace(previous: ClientConnection, next: ClientConnection): void;
  /** Who the client is has been found out: it is counted from here on, as what the listener that is returned says. */
  identified(connection: ClientConnection, transport: Transport, listener: ListenerState, peer: ClientPeer): ListenerState;
  /** The handshake is done: the connection class that fits what was negotiated by ALPN ("" for nothing) takes the place of `previous`. */
  secured(previous: ClientConnection, transport: Transport, listener: ListenerState, protocol: string): void;
  /** An accepted CONNECT. */
  becomeRelay(previous: ClientConnection, transport: Transport, listener: ListenerState, service: Service): void;
}
