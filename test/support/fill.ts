// Fills a connection through the proxy until the proxy itself holds bytes that the kernel does not take, because nobody reads at the
// far end. How much the kernel takes is its own business (megabytes, and it changes its mind), so it is found out piece by piece.

import type { ProxyProcess } from "./proxy-process.ts";
import { waitUntil } from "./wait.ts";
import { forwarderStats } from "./worker-stats.ts";
import type { Wire } from "./wire.ts";

/** Below half of writeBufferBytesMax (32 KiB), so that the first piece that does not fit makes no congestion yet; below a read of 16 KiB, so
 * that no connection takes a stream buffer of its own. */
const PIECE_BYTES = 12 * 1024;
/** 60 MB: more than Linux keeps for one connection. */
const PIECES_MAX = 5000;

export interface Filled {
  /** Body bytes that were sent. */
  readonly bytes: number;
}

/** A chunk of a chunked body: `size` bytes of `x`. */
export function chunkOf(size: number): string {
  return `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`;
}

/** Bytes that the proxy has read from its clients (`src`) or from services (`dst`). */
export async function bytesRead(proxy: ProxyProcess, peer: "src" | "dst"): Promise<number> {
  return (await proxy.metrics()).sum("tcp_read_bytes_total", { peer });
}

/** Sends chunks of a chunked body whose head is sent already. The proxy has one connection in use, from `peer` at this wire. */
export async function fillWithChunks(proxy: ProxyProcess, wire: Wire, peer: "src" | "dst"): Promise<Filled> {
  const piece = chunkOf(PIECE_BYTES);
  let expected = await bytesRead(proxy, peer);
  for (let count = 1; count <= PIECES_MAX; count++) {
    await wire.send(piece);
    expected += piece.length;
    await waitUntil("the proxy to read a piece", async () => (await bytesRead(proxy, peer)) >= expected);
    const stats = await waitUntil("the worker's statistics", () => forwarderStats(proxy));
    if (stats.buffers.stream + stats.buffers.out > 0) return { bytes: count * PIECE_BYTES };
  }
  throw new Error(`the kernel took ${PIECES_MAX * PIECE_BYTES} bytes that nobody reads`);
}
