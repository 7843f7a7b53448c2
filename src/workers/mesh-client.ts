// The client's side of mesh TLS in one thread: a TLS socket of Node's per handshake, whose handle is taken over when it is done.
//
// Node is told to accept any certificate, because it would say no more than "not authorised": what the certificate is worth is told to the
// sink, which decides before anything is sent. No session is ever offered (mesh-tls-options.ts).

import type { SocketConstructorOpts } from "node:net";
import { Duplex } from "node:stream";
import type { SecureContext, TLSSocket } from "node:tls";
import type { MeshIdentity } from "../config/snapshot.ts";
import { meshContextOptions } from "./mesh-tls-options.ts";
import type { TcpHandle } from "./native-handles.ts";
import { type EvidenceSource, peerEvidence } from "./peer-evidence.ts";
import { loadTls, type TlsBuiltins } from "./tls-builtins.ts";
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
    warmUp(builtins, this.#context);
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

let isWarm = false;

/**
 * Makes a hello that nobody gets, once per thread. The first one takes ten times as long as those that follow (code that has never run, ten
 * milliseconds and more), and a proxy that waits longer than detectTimeoutMs for it asks the service behind it whether that one speaks first.
 */
function warmUp({ tls }: TlsBuiltins, secureContext: SecureContext): void {
  if (isWarm) return;
  isWarm = true;
  const below = new Duplex({ read: ignore, write: (_chunk, _encoding, done) => done() });
  const socket = tls.connect({ socket: below, secureContext, servername: "warm-up.invalid", rejectUnauthorized: false });
  socket.on("error", ignore);
  setImmediate(() => {
    socket.destroy();
    below.destroy();
  });
}

function ignore(): void {}
