// TLS between a transport and its socket: looks to the transport like the TCP handle that it had before (ADR 0005).
//
//   handshaking --(secured)--> secure --(close: what is being written, close_notify, FIN)--> closed
//        |                        +---(reset: RST)---------------------------------------> closed
//        +--(failed, closed)------------------------------------------------------------> closed
//
// Node's TLSWrap does the work; what it demands is kept here and nowhere else:
//   - one write at a time (a second one aborts the process); more wait in line and follow when it is done;
//   - a request object is not used again before its callback has returned;
//   - plaintext that has arrived is delivered to the end whatever `readStop` says, so after a close it must find harmless memory;
//   - no write of nothing.
// A peer's FIN without close_notify cannot be told from a clean end: TLSWrap reports both as EOF (RFC 8446 section 6.1).

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { ShutdownWrap, type StreamHandle, type TcpHandle, WriteWrap, type WriteRequest } from "./native-handles.ts";

const UV_ECANCELED = -125;
const UV_EALREADY = -114;

/** Where plaintext goes that still arrives after a close, within the same read event. One record's worth. */
const DISCARDED = Buffer.allocUnsafeSlow(16 * 1024);

/** TLSWrap, as far as it is used: a stream handle whose errors come as a call. */
export interface TlsWrap extends StreamHandle {
  onerror: (error: Error & { code?: string }) => void;
}

interface Queued {
  readonly request: WriteRequest;
  readonly buffers: readonly Uint8Array[];
}

export class TlsStream implements StreamHandle {
  onread: StreamHandle["onread"] = () => undefined;
  weft: unknown = null;
  /** The peer broke TLS after the handshake, or sent an alert. */
  onBroken: (error: Error) => void = () => undefined;

  readonly #tcp: TcpHandle;
  readonly socket: Socket;
  #wrap: TlsWrap | null = null;
  #inFlight: WriteRequest | null = null;
  #queue: Queued[] = [];
  /** Two request objects in turns: the one whose callback has returned long ago, and the one of the last completion. */
  #spare: WriteRequest | null = null;
  #cooling: WriteRequest | null = null;
  #isSubmitting = false;
  #submitStatus = 0;
  #isShut = false;
  #isClosing = false;
  #isDestroyed = false;

  /** @param socket owns `tcp`, and is owned by Node's TLS socket */
  constructor(tcp: TcpHandle, socket: Socket) {
    this.#tcp = tcp;
    this.socket = socket;
  }

  /** The handshake is done. From here on `wrap` calls nobody but this. */
  secured(wrap: TlsWrap): void {
    this.#wrap = wrap;
    wrap.weft = this;
    wrap.onread = onRead;
    wrap.onerror = onError;
  }

  /** The memory for what arrives after this read. */
  handleRead(): Uint8Array | undefined {
    if (this.#isClosing) return DISCARDED;
    const next = this.onread.call(this, undefined);
    return this.#isClosing ? DISCARDED : next;
  }

  handleError(error: Error): void {
    if (!this.#isClosing) this.onBroken(error);
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Ciphertext that the kernel has not taken. */
  get writeQueueSize(): number {
    return this.#isDestroyed ? 0 : this.#tcp.writeQueueSize;
  }

  readStart(): number {
    if (this.#wrap === null || this.#isClosing) return 0;
    const error = this.#wrap.readStart();
    // The handshake has been reading all along.
    return error === UV_EALREADY ? 0 : error;
  }

  readStop(): number {
    return this.#wrap === null || this.#isClosing ? 0 : this.#wrap.readStop();
  }

  useUserBuffer(buffer: Uint8Array): void {
    this.#wrap?.useUserBuffer(buffer);
  }

  getpeername(out: { address?: string; port?: number; family?: string }): number {
    return this.#tcp.getpeername(out);
  }

  // --- writing ------------------------------------------------------------------------------------------------------

  writeBuffer(request: WriteRequest, buffer: Uint8Array): number {
    return this.#write(request, [buffer]);
  }

  writev(request: WriteRequest, buffers: readonly Uint8Array[]): number {
    return this.#write(request, buffers);
  }

  /** Always completes later; `request` is only called back, never given to Node. */
  #write(request: WriteRequest, buffers: readonly Uint8Array[]): number {
    if (this.#wrap === null || this.#isClosing) return UV_ECANCELED;
    if (this.#inFlight === null && this.#queue.length === 0) return this.#submit(request, buffers);
    this.#queue.push({ request, buffers });
    return 0;
  }

  #submit(request: WriteRequest, buffers: readonly Uint8Array[]): number {
    const native = this.#spare ?? new WriteWrap();
    this.#spare = null;
    native.transport = this;
    native.oncomplete = onWritten;
    this.#inFlight = request;
    this.#isSubmitting = true;
    this.#submitStatus = 0;
    const wrap = this.#wrap!;
    const error = buffers.length === 1 ? wrap.writeBuffer(native, buffers[0]!) : wrap.writev(native, buffers, true);
    this.#isSubmitting = false;
    if (error !== 0) {
      this.#inFlight = null;
      return error;
    }
    // A socket that refuses at once completes the request inside of the call.
    return this.#submitStatus;
  }

  /** Node has done with a write. */
  handleWritten(native: WriteRequest, status: number): void {
    const request = this.#inFlight;
    this.#inFlight = null;
    if (this.#isSubmitting) {
      this.#submitStatus = status;
      return;
    }
    // `native` is Node's until this has returned, and whatever runs behind it: the next write takes the one before it.
    this.#spare = this.#cooling;
    this.#cooling = native;
    if (request !== null) request.oncomplete.call(request, status);
    this.#submitNext();
    if (this.#isClosing) this.#finishClose();
  }

  #submitNext(): void {
    while (this.#inFlight === null) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      const error = this.#isDestroyed ? UV_ECANCELED : this.#submit(next.request, next.buffers);
      if (error !== 0) next.request.oncomplete.call(next.request, error);
    }
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  /** close_notify and FIN. Nothing is being written. */
  shutdown(request: ShutdownWrapLike): number {
    if (this.#wrap === null || this.#isClosing) return UV_ECANCELED;
    this.#isShut = true;
    return this.#wrap.shutdown(request);
  }

  /** Says close_notify once the kernel has what was written, as far as it takes it; then closes. */
  close(): void {
    if (this.#isClosing) return;
    const wasReading = this.#wrap;
    this.#isClosing = true;
    if (wasReading === null) {
      this.#destroy();
      return;
    }
    wasReading.readStop();
    this.#finishClose();
  }

  /** Closes with RST, so that the peer sees that what it got is not complete. */
  reset(): number {
    if (this.#isClosing) return 0;
    this.#isClosing = true;
    this.#isDestroyed = true;
    // Not resetAndDestroy(): that waits until everything is written, and the peer may have stopped reading.
    const tcp = this.#tcp;
    const close = tcp.close;
    tcp.close = (onClosed) => {
      if (tcp.reset(onClosed) !== 0) close.call(tcp, onClosed);
    };
    this.socket.destroy();
    if (this.#inFlight === null) this.#submitNext();
    return 0;
  }

  #finishClose(): void {
    if (this.#isDestroyed) return;
    if (this.#inFlight !== null || this.#queue.length > 0) {
      // With an empty queue below, the completion is already on its way: TLSWrap tells it a turn late.
      if (this.#tcp.writeQueueSize > 0) this.#destroy();
      return;
    }
    if (!this.#isShut) {
      this.#isShut = true;
      const request = new ShutdownWrap();
      request.oncomplete = ignore;
      this.#wrap!.shutdown(request);
    }
    this.#destroy();
  }

  #destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.socket.destroy();
    if (this.#inFlight === null) this.#submitNext();
  }
}

type ShutdownWrapLike = Parameters<StreamHandle["shutdown"]>[0];

function onRead(this: StreamHandle): Uint8Array | undefined {
  return (this.weft as TlsStream).handleRead();
}

function onError(this: unknown, error: Error): void {
  ((this as TlsWrap).weft as TlsStream).handleError(error);
}

function onWritten(this: WriteRequest, status: number): void {
  (this.transport as TlsStream).handleWritten(this, status);
}

function ignore(): void {}
