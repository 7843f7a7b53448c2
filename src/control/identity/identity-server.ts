// The gRPC surface of the identity component: HTTP/2 over TLS 1.3, client certificates asked for and optional, two services.
//
//   io.linkerd.proxy.identity.Identity/Certify     a certificate for whoever proves an identity (certifier.ts)
//   weft.identity.v1.Trust/Watch                   the trust bundle: now, and at each change
//
// Bounded: connections, streams per connection, bytes per message and per head, time for the handshake, time without a stream. A connection
// whose client has gone without a word is found by PING.

import { createSecureServer } from "node:http2";
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from "node:http2";
import { constants } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createContextKey, createContextValues } from "@connectrpc/connect";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { CertifyResponseSchema, Identity } from "../../api/linkerd/identity_pb.ts";
import type { CertifyRequest, CertifyResponse } from "../../api/linkerd/identity_pb.ts";
import { Trust, TrustBundleSchema } from "../../api/weft/identity_pb.ts";
import type { TrustBundle } from "../../api/weft/identity_pb.ts";
import { IDENTITY_ERRORS } from "../../core/errors/identity-errors.ts";
import type { IdentityErrorCode } from "../../core/errors/identity-errors.ts";
import type { Bundle, IdentityLog } from "./authority.ts";
import type { Certifier } from "./certifier.ts";
import type { OwnTls } from "./own-certificate.ts";
import { checkOffered, proofOf } from "./peer-proof.ts";
import type { PeerProof, VerifiedPeer } from "./peer-proof.ts";
import { Refusal } from "./refusal.ts";
import { BundleFeed } from "./bundle-feed.ts";

/** Proxies that watch, one connection each; at 50 KB each 400 MB. */
const CONNECTIONS_MAX = 8192;
/** A proxy needs two: its watch and its certificate. */
const STREAMS_MAX = 8;
/** A token of 8 KB, a request of 8 KB, a name. */
const MESSAGE_BYTES_MAX = 32 * 1024;
const HEAD_BYTES_MAX = 8 * 1024;
const HANDSHAKE_MS = 10_000;
/** How often connections are looked at: who has no stream is sent away, who does not answer a PING is cut at the next look. */
const SWEEP_MS = 30_000;
/** A request is complete, and, unless it is a watch, answered within this time. */
const REQUEST_MS = 15_000;
/** What a shutdown waits for requests that are being answered, and for clients to close. */
const CLOSE_MS = 2_000;

const STATUS: Readonly<Record<string, Code>> = {
  INVALID_ARGUMENT: Code.InvalidArgument,
  FAILED_PRECONDITION: Code.FailedPrecondition,
  RESOURCE_EXHAUSTED: Code.ResourceExhausted,
  UNAVAILABLE: Code.Unavailable,
  INTERNAL: Code.Internal,
};

/** Who hears what happens on connections. */
export interface ServerEvents {
  readonly onIssued: (identity: string, notAfterMs: number, by: "token" | "certificate", remote: string) => void;
  readonly onRefused: (code: IdentityErrorCode, message: string, identity: string, remote: string) => void;
  readonly log: IdentityLog;
  /** SWEEP_MS and REQUEST_MS, unless a test is in a hurry. */
  readonly sweepMs?: number;
  readonly requestMs?: number;
}

interface Connection {
  readonly proof: PeerProof;
  readonly remote: string;
  isAlive: boolean;
  wasIdle: boolean;
  streams: number;
}

const WATCH_PATH = `/${Trust.typeName}/${Trust.method.watch.name}`;

const connectionKey = createContextKey<Connection | null>(null);

export class IdentityServer {
  readonly #server: Http2SecureServer;
  readonly #certifier: Certifier;
  readonly #events: ServerEvents;
  readonly #controlNamespace: string;
  readonly #feed = new BundleFeed();
  readonly #sessions = new Map<ServerHttp2Session, Connection>();
  /** Of all connections, those too that are not through their handshake. */
  readonly #sockets = new Set<Socket>();
  readonly #requestMs: number;
  readonly #shutdown = new AbortController();
  readonly #sweep: NodeJS.Timeout;

  constructor(certifier: Certifier, tls: OwnTls, bundle: Bundle, controlNamespace: string, events: ServerEvents) {
    this.#certifier = certifier;
    this.#events = events;
    this.#controlNamespace = controlNamespace;
    this.#requestMs = events.requestMs ?? REQUEST_MS;
    this.#feed.publish(bundle);
    this.#server = createSecureServer({
      ...tls,
      ...TLS_OPTIONS,
      requestCert: true,
      // Without a certificate, or with a bad one, the handshake goes on: the answer says why it is refused (peer-proof.ts).
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
      settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEAD_BYTES_MAX, enablePush: false },
      maxSessionInvalidFrames: 8,
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("session", (session) => this.#open(session));
    this.#server.on("sessionError", () => {});
    this.#server.on("tlsClientError", (error) =>
      events.log("debug", "a TLS handshake failed", { reason: (error as NodeJS.ErrnoException).code ?? error.message }),
    );
    this.#server.on("request", this.#handler());
    this.#sweep = setInterval(() => this.#sweepSessions(), events.sweepMs ?? SWEEP_MS);
    this.#sweep.unref();
  }

  get connections(): number {
    return this.#sessions.size;
  }

  get watchers(): number {
    return this.#feed.watchers;
  }

  /** Resolves to the port. Rejects with Node's error (EADDRINUSE, EACCES...). */
  async listen(host: string, port: number): Promise<number> {
    return await new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => {
        this.#server.removeListener("error", reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Connections from now on get this certificate, and are verified by this bundle. */
  setTls(tls: OwnTls): void {
    this.#server.setSecureContext({ ...tls, ...TLS_OPTIONS });
  }

  /** Sends the bundle to everybody who watches, if it is a new one: then true. */
  publish(bundle: Bundle): boolean {
    return this.#feed.publish(bundle);
  }

  /** Stops listening, ends watches, lets requests finish, then cuts. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#shutdown.abort();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions.keys()) session.close();
    // Not the sessions: one that was told to close waits, destroyed or not, for its client to close, which may be gone without a word.
    const cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, CLOSE_MS);
    await closed;
    clearTimeout(cut);
  }

  #handler(): (request: Http2ServerRequest, response: Http2ServerResponse) => void {
    const handle = connectNodeAdapter({
      routes: (router) => this.#routes(router),
      connect: false,
      grpcWeb: false,
      readMaxBytes: MESSAGE_BYTES_MAX,
      writeMaxBytes: 1024 * 1024,
      acceptCompression: [],
      shutdownSignal: this.#shutdown.signal,
      contextValues: (request) => {
        const { session } = (request as Http2ServerRequest).stream;
        const connection = session === undefined ? null : (this.#sessions.get(session as ServerHttp2Session) ?? null);
        return createContextValues().set(connectionKey, connection);
      },
    });
    return (request, response) => {
      this.#bound(request, response);
      handle(request, response);
    };
  }

  /** What is left of a request that was answered early is dropped; one that does not end, or is not answered, ends here. */
  #bound(request: Http2ServerRequest, response: Http2ServerResponse): void {
    // The request object lets go of its stream when that closes.
    const { stream } = request;
    response.once("finish", () => stream.resume());
    const timer = setTimeout(() => {
      if (!request.complete || request.url !== WATCH_PATH) stream.destroy();
    }, this.#requestMs);
    stream.once("close", () => clearTimeout(timer));
  }

  #routes(router: ConnectRouter): void {
    router.service(Identity, { certify: async (request, context) => await this.#certify(request, context) });
    router.service(Trust, { watch: (_request, context) => this.#watch(context) });
  }

  async #certify(request: CertifyRequest, context: HandlerContext): Promise<CertifyResponse> {
    const connection = context.values.get(connectionKey);
    if (connection === null) throw new ConnectError("the connection is gone", Code.Canceled);
    const { identity, token, certificateSigningRequest } = request;
    try {
      const issued = await this.#certifier.certify({ identity, token, request: certificateSigningRequest, peer: connection.proof });
      this.#events.onIssued(identity, issued.notAfterMs, token.length > 0 ? "token" : "certificate", connection.remote);
      return create(CertifyResponseSchema, {
        leafCertificate: new Uint8Array(issued.leaf.raw),
        intermediateCertificates: issued.intermediates.map(({ raw }) => new Uint8Array(raw)),
        validUntil: timestampFromMs(issued.notAfterMs),
      });
    } catch (error) {
      throw this.#answerFor(error, identity, connection.remote);
    }
  }

  async *#watch(context: HandlerContext): AsyncGenerator<TrustBundle> {
    const connection = context.values.get(connectionKey);
    try {
      if (connection !== null) checkOffered(connection.proof, Date.now());
      for await (const bundle of this.#feed.watch(context.signal)) {
        yield create(TrustBundleSchema, {
          roots: bundle.roots.map(({ raw }) => new Uint8Array(raw)),
          version: BigInt(bundle.version),
          issuedAt: timestampFromMs(bundle.atMs),
        });
      }
    } catch (error) {
      throw this.#answerFor(error, "", connection?.remote ?? "");
    }
  }

  #answerFor(error: unknown, identity: string, remote: string): ConnectError {
    const refusal = error instanceof Refusal ? error : new Refusal("WEFT_IDENTITY_INTERNAL");
    if (refusal !== error) this.#events.log("error", "a request failed", { error: (error as Error).stack ?? String(error) });
    this.#events.onRefused(refusal.code, refusal.message, identity, remote);
    return new ConnectError(refusal.message, STATUS[IDENTITY_ERRORS[refusal.code].status]);
  }

  #open(session: ServerHttp2Session): void {
    const { socket } = session;
    const proof = proofOf(socket as unknown as VerifiedPeer, this.#controlNamespace);
    const connection: Connection = {
      proof,
      remote: `${socket.remoteAddress ?? ""}:${socket.remotePort ?? 0}`,
      isAlive: true,
      wasIdle: false,
      streams: 0,
    };
    this.#sessions.set(session, connection);
    session.on("error", () => session.destroy());
    session.on("stream", (stream) => {
      connection.streams++;
      connection.wasIdle = false;
      stream.once("close", () => connection.streams--);
    });
    session.once("close", () => this.#sessions.delete(session));
  }

  #sweepSessions(): void {
    for (const [session, connection] of this.#sessions) {
      if (!connection.isAlive) {
        session.destroy();
      } else if (connection.streams === 0) {
        // Had none at the look before, and none since: one that was just opened is left alone.
        if (connection.wasIdle) session.close();
        connection.wasIdle = true;
      } else {
        connection.isAlive = false;
        const isSent = session.ping((error) => {
          connection.isAlive = error === null;
        });
        if (!isSent) session.destroy();
      }
    }
  }
}

/** TLS 1.3 only. No session tickets: a handshake a day costs nothing, and each proves the certificate anew. */
const TLS_OPTIONS = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ALPNProtocols: ["h2"],
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;
