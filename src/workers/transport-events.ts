// What Node calls for a transport's reads, writes and ends: one function each, shared by all handles and requests.

import type { Lease } from "../core/http/exchange.ts";
import { readResult, type ShutdownRequest, type StreamHandle, type WriteRequest } from "./native-handles.ts";
import type { OutChunk } from "./out-chunk.ts";
import type { Transport } from "./transport.ts";

export function onRead(this: StreamHandle): Uint8Array | undefined {
  return (this.weft as Transport).handleRead(readResult());
}

export function onWritten(this: WriteRequest, status: number): void {
  const transport = this.transport as Transport;
  const loop = transport.loop;
  loop.beginEvent();
  this.buffer = null;
  if (this.lease !== null) (this.lease as Lease).release();
  if (this.chunk !== null) loop.outChunks.give(this.chunk as OutChunk);
  try {
    transport.handleWritten(this.bytes, status);
  } catch (error) {
    loop.reportBug(error);
    transport.close(true);
  }
  loop.endEvent();
}

export function onShut(this: ShutdownRequest): void {
  (this.owner as Transport).isShutting = false;
}
