// The client's side of mesh TLS in one thread: a TLS socket of Node's per handshake, whose handle is taken over when it is done.
//
// Node is told to accept any certificate, because it would say no more than "not authorised": what the certificate is worth is told to the
// sink, which decides before anything is sent. No session is ever offered (mesh-tls-options.ts).

import type { SocketConstructorOpts } from "node:net";
import type { SecureContext, TLSSocket } from "node:tls";
import type { MeshIdentity } from "../config/snapshot.ts";
import { meshContextOptions } from "./mesh-tls-options.ts";
import type { TcpHandle } from "./native-handles.ts";
import { type EvidenceSource, peerEvidence } from "./peer-evidence.ts";
import { loadTls } from "./tls-builtins.ts";
import type { HandshakeSink } from "./tls-context.ts";
import { TlsStream, type TlsWrap } from "./tls-stream.ts";

/** The part of Node's TLS socket that is no public interface. */
interface TlsSocketInside extends TLSSocket {
  readonly _handle: (TlsWrap & NonNullable<EvidenceSource["_handle"]>) | null;
}

export class MeshClient {
  readonly #context: SecureContext;

  /** Throws when OpenSSL does not take the identity. */
  constructor(identity: MeshIdentity) {
    const builtins = loadTls();
    this.#context = builtins.tls.createSecureContext(meshContextOptions(builtins, identity));
  }

  /** Begins a handshake on a connected handle; nothing has been read of it. A handshake that is closed meanwhile may still call the sink. */
  begin(tcp: TcpHandle, serverName: string, alpn: readonly string[], sink: HandshakeSink): TlsStream {
    const { net, tls } = loadTls();
    const below = new net.Socket({ handle: tcp } as SocketConstructorOpts);
    below.on("error", ignore);
    const stream = new TlsStream(tcp, below);
    const socket = tls.connect({
      socket: below,
      secureContext: this.#context,
      servername: serverName,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
    }) as TlsSocketInside;
    let isDone = false;
    const fail = (error: Error & { reason?: string }): void => {
      if (isDone) return;
      isDone = true;
      sink.onFailed(error.reason ?? error.message);
    };
    socket.on("error", fail);
    socket.once("close", () => fail(new Error("the connection was closed")));
    socket.once("secureConnect", () => {
      if (isDone) return;
      isDone = true;
      if (socket._handle === null) {
        sink.onFailed("the connection was closed");
        return;
      }
      const protocol = typeof socket.alpnProtocol === "string" ? socket.alpnProtocol : "";
      const peer = peerEvidence(socket);
      stream.secured(socket._handle);
      sink.onSecure(stream, { protocol, isResumed: socket.isSessionReused(), peer });
    });
    return stream;
  }
}

function ignore(): void {}
