// gRPC calls over one connection, on Node's own HTTP/2: as much of it as two methods take.
//
// A call sends one message and receives one, or a stream. Not here: compression (none is offered, so a compressed message is refused),
// deadlines sent to the server, metadata. @connectrpc would do all that, for 13 MB of private memory on a thread that lives as long as
// the proxy (native-notes/identity-memory.md). Messages are bytes; who calls knows what is in them.

import { Buffer } from "node:buffer";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from "node:http2";
import type { TLSSocket } from "node:tls";
import { foreignText, IdentityError } from "./identity-failure.ts";

/** A bundle of ROOTS_MAX roots, or a chain, has a few KB. */
const MESSAGE_BYTES_MAX = 256 * 1024;

/** Compression flag and length. */
const PREFIX_BYTES = 5;

/** An answer is awaited so long. */
const CALL_TIMEOUT_MS = 10_000;

/** gRPC status codes that say "later", not "no": RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE. */
const LATER = new Set(["8", "13", "14"]);
const OK = "0";

export interface StreamHandlers {
  readonly onMessage: (message: Buffer) => void;
  /** The stream has ended, which a stream of ours never does by itself. Called once. */
  readonly onEnd: (error: IdentityError) => void;
}

export class GrpcConnection {
  readonly #session: ClientHttp2Session;
  #lost: IdentityError | null = null;

  /** @param socket verified; it is this connection's from now on */
  constructor(socket: TLSSocket) {
    const lost = (error: Error) => {
      this.#lost ??= new IdentityError(isRefusal(error) ? "refused" : "unreachable", `the connection broke: ${foreignText(error.message)}`);
    };
    // An alert in answer to our certificate comes behind the handshake (RFC 8446 section 4.4.3), and HTTP/2 tells of the socket's end only.
    socket.on("error", lost);
    this.#session = connect("https://identity", { createConnection: () => socket });
    this.#session.on("error", lost);
  }

  /** One message for one message. Rejects with an IdentityError. */
  unary(path: string, message: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let answer: Buffer | null = null;
      const call = this.#call(path, message, {
        onMessage: (received) => {
          if (answer !== null) call.fail(new IdentityError("answer", "it answered twice"));
          answer = received;
        },
        onEnd: (error) => {
          clearTimeout(timer);
          if (error === null && answer !== null) resolve(answer);
          else reject(error ?? new IdentityError("answer", "it answered nothing"));
        },
      });
      const timer = setTimeout(
        () => call.fail(new IdentityError("unreachable", `no answer within ${CALL_TIMEOUT_MS} ms`)),
        CALL_TIMEOUT_MS,
      );
    });
  }

  /** The first message of a stream, which is then let go of. Rejects with an IdentityError. */
  first(path: string, message: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = this.#call(path, message, {
        onMessage: (received) => {
          clearTimeout(timer);
          resolve(received);
          call.cancel();
        },
        onEnd: (error) => {
          clearTimeout(timer);
          reject(error ?? new IdentityError("answer", "its stream ended without a message"));
        },
      });
      const timer = setTimeout(
        () => call.fail(new IdentityError("unreachable", `no answer within ${CALL_TIMEOUT_MS} ms`)),
        CALL_TIMEOUT_MS,
      );
    });
  }

  /** Every message of a stream. */
  stream(path: string, message: Uint8Array, { onMessage, onEnd }: StreamHandlers): void {
    this.#call(path, message, { onMessage, onEnd: (error) => onEnd(error ?? new IdentityError("unavailable", "the stream ended")) });
  }

  /** Ends the connection at once. */
  close(): void {
    this.#session.destroy();
  }

  #call(path: string, message: Uint8Array, listener: CallListener): Call {
    const stream = this.#session.request(
      { ":method": "POST", ":path": path, te: "trailers", "content-type": "application/grpc+proto" },
      { endStream: false },
    );
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([prefix, message]));
    return new Call(stream, listener, () => this.#lost);
  }
}

interface CallListener {
  readonly onMessage: (message: Buffer) => void;
  /** null: the status was OK. */
  readonly onEnd: (error: IdentityError | null) => void;
}

class Call {
  readonly #stream: ClientHttp2Stream;
  readonly #listener: CallListener;
  #rest: Buffer = Buffer.alloc(0);
  #isOver = false;

  constructor(stream: ClientHttp2Stream, listener: CallListener, connectionError: () => IdentityError | null) {
    this.#stream = stream;
    this.#listener = listener;
    let status: IncomingHttpHeaders = {};
    stream.on("response", (headers) => {
      status = headers;
      if (headers[":status"] !== 200) this.fail(new IdentityError("untrusted", `it answers with HTTP status ${headers[":status"]}`));
    });
    stream.on("trailers", (headers) => {
      status = headers;
    });
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("error", (error) => this.#end(connectionError() ?? new IdentityError("unreachable", foreignText(error.message))));
    stream.on("close", () => this.#end(connectionError() ?? statusError(status)));
  }

  fail(error: IdentityError): void {
    this.#end(error);
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** Nothing more is wanted, and nobody is told. */
  cancel(): void {
    this.#isOver = true;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #end(error: IdentityError | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.onEnd(error);
  }

  #receive(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (!this.#isOver && this.#rest.length >= PREFIX_BYTES) {
      const length = this.#rest.readUInt32BE(1);
      const problem = messageProblem(this.#rest[0]!, length);
      if (problem !== null) this.fail(new IdentityError("answer", problem));
      if (problem !== null || this.#rest.length < PREFIX_BYTES + length) break;
      const message = this.#rest.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
      this.#rest = this.#rest.subarray(PREFIX_BYTES + length);
      this.#listener.onMessage(message);
    }
  }
}

function messageProblem(flag: number, length: number): string | null {
  if (flag !== 0) return "its message is compressed, which nobody asked for";
  return length > MESSAGE_BYTES_MAX ? `its message has ${length} bytes` : null;
}

/** An alert of TLS: the other side did not take what we showed. */
function isRefusal(error: Error & { code?: string }): boolean {
  return error.code?.startsWith("ERR_SSL_") === true && /ALERT/.test(error.code);
}

/** The failure that a status is, null for OK. */
function statusError(headers: IncomingHttpHeaders): IdentityError | null {
  const status = headers["grpc-status"];
  if (status === OK) return null;
  if (typeof status !== "string") return new IdentityError("unreachable", "the answer broke off");
  const message = foreignText(decode(String(headers["grpc-message"] ?? "")));
  return new IdentityError(
    LATER.has(status) ? "unavailable" : "refused",
    `${message === "" ? "no reason given" : message} (gRPC status ${status})`,
  );
}

/** Percent-encoded as gRPC has it; what does not decode stays as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
