// HTTP/2 frames for tests (RFC 9113 4 and 6): builders that also build what the RFC forbids, and a splitter of received bytes.
//
// Written apart from src/core/h2 on purpose: a codec that is tested with itself agrees with its own mistakes. Nothing is validated
// here, neither lengths nor flags nor stream numbers; a test says exactly what goes over the wire.

export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

export const Flag = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

export const Setting = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
  ENABLE_CONNECT_PROTOCOL: 0x8,
} as const;

/** What a client says first (RFC 9113 3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
export const FRAME_HEAD_BYTES = 9;
export const WINDOW_MAX = 2 ** 31 - 1;
/** Payload that every peer has to accept (RFC 9113 4.2). */
export const FRAME_BYTES_DEFAULT = 16_384;

type Bytes = Buffer | string;

function bytesOf(payload: Bytes): Buffer {
  return typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
}

/** Any frame at all. `streamId` may have the reserved bit set; `length` may differ from what follows. */
export function frame(type: number, flags: number, streamId: number, payload: Bytes = "", length?: number): Buffer {
  const body = bytesOf(payload);
  const whole = Buffer.allocUnsafe(FRAME_HEAD_BYTES + body.length);
  whole.writeUIntBE(length ?? body.length, 0, 3);
  whole[3] = type;
  whole[4] = flags;
  whole.writeUInt32BE(streamId >>> 0, 5);
  body.copy(whole, FRAME_HEAD_BYTES);
  return whole;
}

export interface DataOptions {
  readonly endStream?: boolean;
  /** Octets of padding; the field before it is added. */
  readonly padding?: number;
}

export function data(streamId: number, payload: Bytes, options: DataOptions = {}): Buffer {
  const flags = options.endStream ? Flag.END_STREAM : 0;
  if (options.padding === undefined) return frame(FrameType.DATA, flags, streamId, payload);
  const padded = Buffer.concat([Buffer.from([options.padding]), bytesOf(payload), Buffer.alloc(options.padding)]);
  return frame(FrameType.DATA, flags | Flag.PADDED, streamId, padded);
}

export interface PriorityOptions {
  readonly dependsOn?: number;
  readonly exclusive?: boolean;
  /** 1 to 256, as the RFC counts. */
  readonly weight?: number;
}

function priorityFields(options: PriorityOptions): Buffer {
  const fields = Buffer.alloc(5);
  fields.writeUInt32BE(((options.dependsOn ?? 0) | (options.exclusive ? 0x8000_0000 : 0)) >>> 0, 0);
  fields[4] = (options.weight ?? 16) - 1;
  return fields;
}

export interface HeadersOptions {
  readonly endStream?: boolean;
  /** True unless said otherwise. */
  readonly endHeaders?: boolean;
  readonly padding?: number;
  readonly priority?: PriorityOptions;
}

/** HEADERS around an encoded block (see h2-hpack.ts). */
export function headers(streamId: number, block: Buffer, options: HeadersOptions = {}): Buffer {
  let flags = options.endStream ? Flag.END_STREAM : 0;
  if (options.endHeaders !== false) flags |= Flag.END_HEADERS;
  const parts: Buffer[] = [];
  if (options.padding !== undefined) {
    flags |= Flag.PADDED;
    parts.push(Buffer.from([options.padding]));
  }
  if (options.priority !== undefined) {
    flags |= Flag.PRIORITY;
    parts.push(priorityFields(options.priority));
  }
  parts.push(block, Buffer.alloc(options.padding ?? 0));
  return frame(FrameType.HEADERS, flags, streamId, Buffer.concat(parts));
}

export function continuation(streamId: number, block: Buffer, options: { readonly endHeaders?: boolean } = {}): Buffer {
  return frame(FrameType.CONTINUATION, options.endHeaders === false ? 0 : Flag.END_HEADERS, streamId, block);
}

export function priority(streamId: number, options: PriorityOptions = {}): Buffer {
  return frame(FrameType.PRIORITY, 0, streamId, priorityFields(options));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function rstStream(streamId: number, code: number = ErrorCode.CANCEL): Buffer {
  return frame(FrameType.RST_STREAM, 0, streamId, uint32(code));
}

/** SETTINGS with these pairs in this order; the same parameter may come twice. */
export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [index, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(FrameType.SETTINGS, 0, 0, payload);
}

export function settingsAck(): Buffer {
  return frame(FrameType.SETTINGS, Flag.ACK, 0);
}

export function pushPromise(streamId: number, promisedId: number, block: Buffer): Buffer {
  return frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, streamId, Buffer.concat([uint32(promisedId), block]));
}

/** `opaque` is eight octets of latin1. */
export function ping(opaque = "\0\0\0\0\0\0\0\0", options: { readonly ack?: boolean } = {}): Buffer {
  return frame(FrameType.PING, options.ack ? Flag.ACK : 0, 0, opaque);
}

export function goaway(lastStreamId: number, code: number = ErrorCode.NO_ERROR, debug: Bytes = ""): Buffer {
  return frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code), bytesOf(debug)]));
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The code of a RST_STREAM or GOAWAY frame. */
export function errorCodeOf(received: Frame): number {
  return received.payload.readUInt32BE(received.type === FrameType.GOAWAY ? 4 : 0);
}

function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(table).find(([, number]) => number === value)?.[0] ?? `0x${value.toString(16)}`;
}

export function errorName(code: number): string {
  return nameOf(ErrorCode, code);
}

/** `RST_STREAM(stream 1, PROTOCOL_ERROR)`: for messages of failed tests. */
export function describeFrame(received: Frame): string {
  const name = nameOf(FrameType, received.type);
  const hasCode = received.type === FrameType.GOAWAY || received.type === FrameType.RST_STREAM;
  const detail = hasCode && received.payload.length >= 4 ? errorName(errorCodeOf(received)) : `flags ${received.flags}`;
  return `${name}(stream ${received.streamId}, ${detail}, ${received.payload.length} bytes)`;
}

/** Cuts a byte stream into frames, in whatever pieces it comes. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): Frame[] {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const frames: Frame[] = [];
    while (rest.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + rest.readUIntBE(0, 3);
      if (rest.length < end) break;
      frames.push({
        type: rest[3]!,
        flags: rest[4]!,
        streamId: rest.readUInt32BE(5) & WINDOW_MAX,
        payload: rest.subarray(FRAME_HEAD_BYTES, end),
      });
      rest = rest.subarray(end);
    }
    this.#rest = rest;
    return frames;
  }
}
