// Which servers that speak before their client are HTTP/2 servers: those send SETTINGS as soon as the connection is there.
//
// Such a server is not the one that the client was waiting for: with HTTP/2 both sides begin (RFC 9113 section 3.4), and neither waits.
// So its first bytes tell nothing about the client, who may turn out to speak any protocol, or the same one a little later.
// Judged by the frame's header alone, which servers write at once; a server that sends less of it at first is taken for any other that
// speaks first, because to hold its bytes back would stop whoever does wait for them.

import type { Buffer } from "node:buffer";

const HEADER_BYTES = 9;
const SETTINGS = 0x04;
/** Bytes of one setting. */
const SETTING_BYTES = 6;
/** The largest frame that may be sent before anything was agreed on (RFC 9113 section 4.2). */
const FRAME_BYTES_MAX = 16_384;

/** Do the first bytes of a server [start, end) begin with an HTTP/2 connection preface, a SETTINGS frame that is no acknowledgement? */
export function isHttp2Server(buffer: Buffer, start: number, end: number): boolean {
  if (end - start < HEADER_BYTES) return false;
  const length = buffer.readUIntBE(start, 3);
  const flags = buffer[start + 4]!;
  // The reserved bit of the stream's number is to be ignored.
  const streamId = buffer.readUInt32BE(start + 5) & 0x7fff_ffff;
  return length <= FRAME_BYTES_MAX && length % SETTING_BYTES === 0 && buffer[start + 3] === SETTINGS && flags === 0 && streamId === 0;
}
