// Node's own TCP handles, below net.Socket (ADR 0004). Only this file and accept-source.ts reach for process.binding.
//
// A net.Socket costs a Duplex stream per connection and a request object plus Writable bookkeeping per write; the handle
// under it does the same work with one call. What is used here is what lib/net.js itself uses, present and unchanged
// from Node 12 to 26; `assertNativeHandles` proves it at start, so that a Node without it fails with a clear message.

import type { Buffer } from "node:buffer";

/** Result of a write request that the kernel did not take at once. */
export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  /** What must stay alive until then. */
  buffer: Buffer | readonly Buffer[] | null;
  // Set by Transport.
  transport: unknown;
  lease: unknown;
  chunk: unknown;
  bytes: number;
}

export interface ConnectRequest {
  oncomplete: (this: ConnectRequest, status: number) => void;
  owner: unknown;
}

export interface ShutdownRequest {
  oncomplete: (this: ShutdownRequest, status: number) => void;
  owner: unknown;
}

/** What a transport needs of the stream below it: a TCP handle, or TLS on one. Return values are 0 or a negative errno, as libuv's. */
export interface StreamHandle {
  readonly writeQueueSize: number;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  /** Called per read with the count in `readState`; the buffer that it returns is used for the next read. */
  onread: (this: StreamHandle, unused: unknown) => Uint8Array | undefined;
  writeBuffer(request: WriteRequest, buffer: Uint8Array): number;
  writev(request: WriteRequest, buffers: readonly Uint8Array[], allBuffers: true): number;
  shutdown(request: ShutdownRequest): number;
  getpeername(out: { address?: string; port?: number; family?: string }): number;
  close(): void;
  /** Closes with RST. */
  reset(): number;
  /** The owner, for callbacks. */
  weft: unknown;
}

/** What uv_tcp_t offers beyond that. */
export interface TcpHandle extends StreamHandle {
  readonly fd: number;
  close(onClosed?: () => void): void;
  reset(onClosed?: () => void): number;
  open(fd: number): number;
  connect(request: ConnectRequest, host: string, port: number): number;
  connect6(request: ConnectRequest, host: string, port: number): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, delaySeconds: number): number;
  getsockname(out: { address?: string; port?: number; family?: string }): number;
}

interface TcpBinding {
  readonly TCP: new (type: number) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number };
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
  readonly streamBaseState: Int32Array;
}

const binding = (process as unknown as { binding(name: string): unknown }).binding;
const tcp = binding("tcp_wrap") as TcpBinding;
const stream = binding("stream_wrap") as StreamBinding;

export const { TCPConnectWrap: ConnectWrap } = tcp;
export const { WriteWrap, ShutdownWrap } = stream;

const state = stream.streamBaseState;
const READ = stream.kReadBytesOrError;
const ASYNC = stream.kLastWriteWasAsync;

/** libuv's UV_EOF: the peer sent FIN. */
export const UV_EOF = -4095;

/** Bytes of the read that `onread` is being called for, or a negative errno. Valid only inside `onread`. */
export function readResult(): number {
  return state[READ]!;
}

/** Did the last write return before the kernel took everything? Valid only right after the call. */
export function lastWriteWasAsync(): boolean {
  return state[ASYNC] !== 0;
}

/** A handle without a socket: to be opened on a descriptor, or connected. */
export function newTcpHandle(): TcpHandle {
  return new tcp.TCP(tcp.constants.SOCKET);
}

/** Throws when this Node does not offer what the transport needs. Called once per thread that forwards. */
export function assertNativeHandles(): void {
  const handle = newTcpHandle() as unknown as Record<string, unknown>;
  const missing = ["open", "readStart", "readStop", "useUserBuffer", "writeBuffer", "writev", "shutdown", "close", "reset"].filter(
    (name) => typeof handle[name] !== "function",
  );
  (handle["close"] as () => void).call(handle);
  if (missing.length > 0 || !(state instanceof Int32Array) || READ === undefined || ASYNC === undefined) {
    throw new Error(
      `Node ${process.version} has no usable TCP handles (missing: ${missing.join(", ") || "stream state"}); use Node 22, 24 or 26`,
    );
  }
}
