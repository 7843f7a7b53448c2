// Puts a header block into HEADERS and CONTINUATION frames of the size that the peer takes (RFC 9113 sections 6.2 and 6.10).
//
// The block is encoded straight behind a frame header in the chunk that leaves. Only a block above the peer's frame size is moved, from
// its end to its beginning, to make room for the headers between its parts.

import type { Buffer } from "node:buffer";
import { FRAME_HEADER_BYTES, FrameType, Flag } from "./frame-types.ts";
import { writeFrameHeader } from "./frame-writer.ts";

/** Room for a block of up to `size` bytes with its frame headers. */
export function framesRoom(size: number, frameSizeMax: number): number {
  return size + FRAME_HEADER_BYTES * (1 + Math.ceil(size / frameSizeMax));
}

/**
 * The block was written to [at + FRAME_HEADER_BYTES, end) of `out`. Writes the header before it, and CONTINUATION frames if it needs
 * them. Returns the offset behind the last frame. The flags of the HEADERS frame are at `at` + 4.
 */
export function frameBlock(out: Buffer, at: number, end: number, streamId: number, flags: number, frameSizeMax: number): number {
  const size = end - at - FRAME_HEADER_BYTES;
  if (size <= frameSizeMax) {
    writeFrameHeader(out, at, size, FrameType.headers, flags | Flag.endHeaders, streamId);
    return end;
  }
  const block = at + FRAME_HEADER_BYTES;
  const parts = Math.ceil(size / frameSizeMax);
  for (let part = parts - 1; part > 0; part--) {
    const from = block + part * frameSizeMax;
    const partSize = Math.min(frameSizeMax, end - from);
    const header = from + (part - 1) * FRAME_HEADER_BYTES;
    out.copyWithin(header + FRAME_HEADER_BYTES, from, from + partSize);
    writeFrameHeader(out, header, partSize, FrameType.continuation, part === parts - 1 ? Flag.endHeaders : 0, streamId);
  }
  writeFrameHeader(out, at, frameSizeMax, FrameType.headers, flags, streamId);
  return end + (parts - 1) * FRAME_HEADER_BYTES;
}
