// Connects to an endpoint of the mesh: TCP, then mesh TLS, then the question who is there. Whoever dialled hears of all three as of one
// connect: 0, or a negative number that is an errno or stands for a row of core/errors (errno.ts).
//
// Nothing is sent to a peer that is not, by a certificate that verifies, exactly the identity that was expected.

import { type ErrorCode, ERRORS } from "../core/errors/error-codes.ts";
import { checkPeer, type ExpectedPeer, expectPeer, identityMismatch } from "../core/identity/peer-check.ts";
import { errnoOf } from "./errno.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import type { HandshakeSink, Secured } from "./tls-context.ts";
import type { Transport, TransportOwner } from "./transport.ts";
import { dialConnection } from "./transport-open.ts";

/** What OpenSSL says of bytes that are no TLS record. */
const NOT_TLS = "wrong version number";

export interface MeshPlace {
  readonly host: string;
  readonly port: number;
  readonly isIpv6: boolean;
  /** `ip:port`, for messages. */
  readonly address: string;
  /** Who must be there. */
  readonly identity: string;
}

class MeshDial implements HandshakeSink {
  readonly #context: ForwarderContext;
  readonly #place: MeshPlace;
  readonly #expected: ExpectedPeer;
  readonly #alpn: readonly string[];
  readonly #onConnected: (status: number) => void;
  transport: Transport | null = null;

  constructor(
    context: ForwarderContext,
    place: MeshPlace,
    expected: ExpectedPeer,
    alpn: readonly string[],
    onConnected: (status: number) => void,
  ) {
    this.#context = context;
    this.#place = place;
    this.#expected = expected;
    this.#alpn = alpn;
    this.#onConnected = onConnected;
  }

  onTcpConnected(status: number): void {
    const client = this.#context.mesh.client;
    if (status !== 0 || client === null) {
      this.#onConnected(status !== 0 ? status : errnoOf(ERRORS.WEFT_NO_IDENTITY.id));
      return;
    }
    this.transport!.beginHandshake((tcp) => client.begin(tcp, this.#expected.serverName, this.#alpn, this));
  }

  onSecure(_stream: unknown, secured: Secured): void {
    this.#context.loop.run(() => {
      const transport = this.transport!;
      if (transport.isClosed || this.#isRefused(secured)) return;
      this.#context.mesh.count("outbound", "full", "");
      this.#onConnected(0);
      transport.endHandshake();
    });
  }

  #isRefused({ protocol, peer }: Secured): boolean {
    // TLS 1.3 servers always show one; without it there is nobody to believe.
    if (peer === null) return this.#refuse("WEFT_PEER_IDENTITY", "it has shown no certificate");
    const verdict = checkPeer("server", peer, this.#expected.identity.controlNamespace);
    if ("code" in verdict) return this.#refuse(verdict.code, verdict.detail);
    const mismatch = identityMismatch(this.#expected, verdict.identity);
    if (mismatch !== null) return this.#refuse("WEFT_PEER_OTHER_IDENTITY", mismatch);
    if (this.#alpn.length > 0 && protocol !== this.#alpn[0]) return this.#refuse("WEFT_MESH_PROTOCOL", `ALPN: ${protocol || "nothing"}`);
    return false;
  }

  #refuse(code: ErrorCode, detail: string): true {
    const { address, identity } = this.#place;
    this.#context.mesh.refusedServer(code, address, { identity, detail });
    this.#onConnected(errnoOf(ERRORS[code].id));
    return true;
  }

  onFailed(reason: string): void {
    this.#context.loop.run(() => {
      if (this.transport!.isClosed) return;
      const code = reason === NOT_TLS ? "WEFT_MESH_PLAIN" : "WEFT_MESH_HANDSHAKE";
      this.#context.mesh.failed(this.#place.address, this.#place.identity, reason, code);
      this.#onConnected(errnoOf(ERRORS[code].id));
    });
  }
}

/** Begins; `onConnected` is called later. `alpn`: what must be spoken within, empty for bytes. The deadline is the caller's. */
export function dialMesh(
  context: ForwarderContext,
  place: MeshPlace,
  alpn: readonly string[],
  owner: TransportOwner,
  onConnected: (status: number) => void,
): Transport {
  const { loop, mesh } = context;
  const expected = expectPeer(place.identity, mesh.controlNamespace);
  if (expected === null || mesh.client === null) {
    const row = expected === null ? ERRORS.WEFT_PEER_OTHER_IDENTITY : ERRORS.WEFT_NO_IDENTITY;
    // Told as any other connect that fails: later. There is no such host, so nothing is dialled.
    return dialConnection(loop, "", place.port, false, owner, () => onConnected(errnoOf(row.id)));
  }
  const dial = new MeshDial(context, place, expected, alpn, onConnected);
  dial.transport = dialConnection(loop, place.host, place.port, place.isIpv6, owner, (status) => dial.onTcpConnected(status));
  return dial.transport;
}
