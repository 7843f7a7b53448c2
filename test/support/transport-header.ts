// Linkerd's transport headers, written by hand as protobuf writes them.

export const TRANSPORT_ALPN = "transport.l5d.io/v1";

/** What a header says of its session; opaque: nothing. */
export const OPAQUE: readonly number[] = [];
export const HTTP1: readonly number[] = [0x1a, 2, 0x0a, 0];
export const HTTP2: readonly number[] = [0x1a, 2, 0x12, 0];

/** A message behind the preface and its length, or another that it claims. */
export function framed(message: readonly number[], size = message.length): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(size);
  return Buffer.concat([Buffer.from(`${TRANSPORT_ALPN}\r\n\r\n`), length, Buffer.from(message)]);
}

/** 1 to 65535 as a varint. */
export function varint(port: number): number[] {
  if (port < 0x80) return [port];
  return port < 0x4000 ? [(port & 0x7f) | 0x80, port >> 7] : [(port & 0x7f) | 0x80, ((port >> 7) & 0x7f) | 0x80, port >> 14];
}

export function headerFor(port: number, session: readonly number[], more: readonly number[] = []): Buffer {
  return framed([0x08, ...varint(port), ...more, ...session]);
}
