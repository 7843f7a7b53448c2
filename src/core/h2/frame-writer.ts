// Writes frames (RFC 9113 sections 4.1 and 6) into a caller's buffer at an offset, by indexed stores; returns the offset behind.
//
// The caller guarantees the room: `FRAME_HEADER_BYTES` and the payload. Nothing is checked: what may be sent is the engine's business.

import type { Buffer } from "node:buffer";
import { FRAME_HEADER_BYTES, FrameType, Flag } from "./frame-types.ts";

/** Bytes of the largest control frame that is not SETTINGS or GOAWAY. */
export const CONTROL_FRAME_ROOM = FRAME_HEADER_BYTES + 8;

/** Bytes of one setting. */
export const SETTING_BYTES = 6;

/** A frame's header. `length`: bytes of payload, below 2^24. */
export function writeFrameHeader(out: Buffer, at: number, length: number, type: number, flags: number, streamId: number): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  return write32(out, at + 5, streamId);
}

/** 32 bits, most significant byte first. */
export function write32(out: Buffer, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

export function writeReset(out: Buffer, at: number, streamId: number, h2code: number): number {
  return write32(out, writeFrameHeader(out, at, 4, FrameType.rstStream, 0, streamId), h2code);
}

/** `increment`: 1 to 2^31 - 1. */
export function writeWindowUpdate(out: Buffer, at: number, streamId: number, increment: number): number {
  return write32(out, writeFrameHeader(out, at, 4, FrameType.windowUpdate, 0, streamId), increment);
}

/** The header of a SETTINGS frame; `writeSetting` follows `count` times. */
export function writeSettingsHeader(out: Buffer, at: number, count: number): number {
  return writeFrameHeader(out, at, count * SETTING_BYTES, FrameType.settings, 0, 0);
}

export function writeSetting(out: Buffer, at: number, id: number, value: number): number {
  out[at] = id >>> 8;
  out[at + 1] = id;
  return write32(out, at + 2, value);
}

export function writeSettingsAck(out: Buffer, at: number): number {
  return writeFrameHeader(out, at, 0, FrameType.settings, Flag.ack, 0);
}

/** The answer to a PING: its eight bytes are at `from` of `payload`. */
export function writePingAck(out: Buffer, at: number, payload: Buffer, from: number): number {
  const p = writeFrameHeader(out, at, 8, FrameType.ping, Flag.ack, 0);
  for (let i = 0; i < 8; i++) out[p + i] = payload[from + i]!;
  return p + 8;
}

/** A PING of ours: `high` says what for, `low` which. */
export function writePing(out: Buffer, at: number, high: number, low: number): number {
  return write32(out, write32(out, writeFrameHeader(out, at, 8, FrameType.ping, 0, 0), high), low);
}

/** `text`: ASCII for the people on the other side; the caller bounds it. */
export function writeGoaway(out: Buffer, at: number, lastStreamId: number, h2code: number, text: string): number {
  let p = writeFrameHeader(out, at, 8 + text.length, FrameType.goaway, 0, 0);
  p = write32(out, p, lastStreamId);
  p = write32(out, p, h2code);
  return p + out.write(text, p, "latin1");
}
