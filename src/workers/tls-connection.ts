// A client connection at a listener with TLS, until it is secure.
//
//   reading --(ClientHello)--> handshake --(secured)--> another ClientConnection takes its place
//      |                          +--(alert, garbage, tlsHandshakeMs, its end)--> closed, counted
//      +--(anything else)--> 400 where it is HTTP/1, closed, counted
//
// There is no plain way in: who configured a certificate would not expect one. One deadline from the accept to the end of the
// handshake, because a TLS client speaks first and at once; and so many handshakes at a time per worker (tlsHandshakesMax).

import { Buffer } from "node:buffer";
import { ERRORS } from "../core/errors/error-codes.ts";
import { ERROR_RESPONSE_ROOM, writeErrorResponse } from "../core/h1/serialize.ts";
import { Detected, detectProtocol } from "../core/tcp/detect.ts";
import type { ClientConnection, ClientOwner } from "./client-connection.ts";
import type { ForwarderContext, ListenerState } from "./forwarder-context.ts";
import { Stash } from "./stash.ts";
import type { HandshakeSink, Secured, TlsContext } from "./tls-context.ts";
import type { TlsStream } from "./tls-stream.ts";
import type { Transport, TransportOwner } from "./transport.ts";

/** How handshakes end, in tls_handshakes_total. */
export type HandshakeResult = "full" | "resumed" | "failed" | "timeout" | "not_tls" | "too_many";

/** What one thread's handshakes have in common. */
export interface HandshakeDesk {
  readonly inProgress: number;
  count(direction: string, result: HandshakeResult): void;
}

export class TlsConnection implements TransportOwner, ClientConnection, HandshakeSink {
  readonly #context: ForwarderContext;
  readonly #desk: HandshakeDesk;
  readonly #listener: ListenerState;
  readonly #owner: ClientOwner;
  readonly #transport: Transport;
  readonly #tls: TlsContext;
  #stash: Stash | null = null;
  #stream: TlsStream | null = null;
  #isRefused = false;

  constructor(
    context: ForwarderContext,
    desk: HandshakeDesk,
    listener: ListenerState,
    tls: TlsContext,
    owner: ClientOwner,
    transport: Transport,
  ) {
    this.#context = context;
    this.#desk = desk;
    this.#listener = listener;
    this.#owner = owner;
    this.#transport = transport;
    this.#tls = tls;
    transport.owner = this;
    transport.deadlineAt = context.loop.now + context.shared.limits.tlsHandshakeMs;
  }

  onBytes(buffer: Buffer, start: number, end: number): void {
    if (this.#isRefused) return;
    const stash = this.#stash;
    if (stash === null) {
      this.#decide(buffer, start, end);
    } else {
      stash.append(buffer, start, end);
      this.#decide(stash.bytes, stash.start, stash.end);
    }
  }

  #decide(buffer: Buffer, start: number, end: number): void {
    const detected = detectProtocol(buffer, start, end);
    switch (detected) {
      case Detected.undecided:
        if (this.#stash === null) {
          this.#stash = new Stash();
          this.#stash.append(buffer, start, end);
        }
        return;
      case Detected.tls:
        this.#begin(Buffer.from(buffer.subarray(start, end)));
        return;
      default:
        this.#refusePlain(detected === Detected.http1);
    }
  }

  #begin(received: Buffer): void {
    this.#stash = null;
    const { shared } = this.#context;
    if (this.#desk.inProgress >= shared.limits.tlsHandshakesMax) {
      this.#count("too_many");
      this.#transport.close(true);
      return;
    }
    this.#transport.beginHandshake((tcp) => {
      this.#stream = this.#tls.accept(tcp, received, this);
      return this.#stream;
    });
  }

  // --- the handshake's end ------------------------------------------------------------------------------------------

  onSecure(_stream: TlsStream, { protocol, isResumed }: Secured): void {
    this.#context.loop.run(() => {
      if (this.#transport.isClosed) return;
      this.#stream = null;
      this.#count(isResumed ? "resumed" : "full");
      this.#transport.deadlineAt = 0;
      this.#owner.secured(this, this.#transport, this.#listener, protocol);
      this.#transport.endHandshake();
    });
  }

  onFailed(reason: string): void {
    this.#context.loop.run(() => {
      if (this.#transport.isClosed) return;
      this.#stream = null;
      this.#fail("failed", reason);
    });
  }

  #fail(result: HandshakeResult, detail: string): void {
    this.#count(result);
    const row = ERRORS.WEFT_TLS_HANDSHAKE;
    this.#context.counters.tcpError(this.#listener.snapshot.direction, row.label);
    this.#context.log("debug", `[WEFT_TLS_HANDSHAKE] ${row.cause}`, { listener: this.#listener.snapshot.id, detail });
    this.cut();
  }

  #refusePlain(isHttp: boolean): void {
    this.#count("not_tls");
    const { direction, id } = this.#listener.snapshot;
    const row = ERRORS.WEFT_TLS_REQUIRED;
    this.#context.counters.tcpError(direction, row.label);
    this.#context.log("debug", `[WEFT_TLS_REQUIRED] ${row.cause}`, { listener: id, http: isHttp });
    if (!isHttp) {
      this.cut();
      return;
    }
    const { loop, shared } = this.#context;
    const chunk = this.#transport.reserve(ERROR_RESPONSE_ROOM);
    chunk.length = writeErrorResponse(chunk.bytes, chunk.length, {
      status: row.status,
      code: "WEFT_TLS_REQUIRED",
      detail: row.cause,
      close: true,
      isHead: false,
      now: new Date().toUTCString(),
    });
    // Its upload is read and dropped for a while: a close with unread bytes would be a reset, and the answer lost with it.
    this.#isRefused = true;
    this.#stash = null;
    this.#transport.shutdown();
    if (!this.#transport.isClosed) this.#transport.deadlineAt = loop.now + shared.limits.lingerMs;
  }

  #count(result: HandshakeResult): void {
    this.#desk.count(this.#listener.snapshot.direction, result);
  }

  // --- the connection -----------------------------------------------------------------------------------------------

  onEnd(): void {
    this.cut();
  }

  onWritable(): void {}

  onDeadline(): void {
    if (this.#isRefused) this.cut();
    else this.#fail("timeout", "tlsHandshakeMs is over");
  }

  onClosed(errno: number): void {
    if (this.#stream !== null) {
      this.#tls.forget(this.#stream);
      this.#stream = null;
    }
    this.#owner.onConnectionClosed(this, errno);
  }

  /** A handshake under way may finish: what follows it is told to close. */
  drain(): void {
    const { loop, shared } = this.#context;
    if (this.#stream === null && this.#stash === null) this.#transport.deadlineAt = loop.now + shared.limits.drainIdleMs;
  }

  /** Nothing was asked for yet. */
  recheck(): void {}

  cut(): void {
    this.#transport.close(false);
  }
}
