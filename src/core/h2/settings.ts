// SETTINGS (RFC 9113 section 6.5): what the peer allows us, and what we allow it.
//
// The peer's values count when they come and are acknowledged at once. Ours count when the peer acknowledges them; until then it may hold to
// the defaults. We send one frame, at the beginning, so one acknowledgement is due; another is an error.
//
// Refuses: ENABLE_PUSH and ENABLE_CONNECT_PROTOCOL other than 0 or 1, the first as 1 from a server, the second going back to 0, windows
// above 2^31 - 1 (FLOW_CONTROL_ERROR), frame sizes outside 16,384 to 2^24 - 1, priorities' switch other than 0 or 1.

import type { Buffer } from "node:buffer";
import { FRAME_SIZE_DEFAULT, FRAME_SIZE_LARGEST, H2Error, MAX_31_BITS, SettingId, WINDOW_DEFAULT } from "./frame-types.ts";
import { SETTING_BYTES, writeSetting, writeSettingsHeader } from "./frame-writer.ts";
import type { H2Limits } from "./limits.ts";

/** Streams that a client opens before the server's SETTINGS came: RFC 9113 6.5.2 sets no limit, and asks servers for no less. */
export const STREAMS_BEFORE_SETTINGS = 100;

/** Bytes of our SETTINGS frame at most: nine values. */
export const SETTINGS_ROOM: number = 9 + 9 * SETTING_BYTES;

/** Table size before any SETTINGS. */
const TABLE_DEFAULT = 4096;

export class PeerSettings {
  headerTableSize = TABLE_DEFAULT;
  initialWindowSize = WINDOW_DEFAULT;
  maxFrameSize = FRAME_SIZE_DEFAULT;
  maxConcurrentStreams = STREAMS_BEFORE_SETTINGS;
  takesExtendedConnect = false;
  /** Its first SETTINGS have come. */
  hasCome = false;
  readonly #isServer: boolean;

  /** `isServer`: we are one, the peer is a client. */
  constructor(isServer: boolean) {
    this.#isServer = isServer;
  }

  /** Applies a payload [start, end) of whole settings. Returns 0 or the error code of the connection. Values so far stay applied. */
  apply(buffer: Buffer, start: number, end: number): number {
    if (!this.hasCome) {
      this.hasCome = true;
      this.maxConcurrentStreams = MAX_31_BITS;
    }
    for (let p = start; p < end; p += SETTING_BYTES) {
      const id = (buffer[p]! << 8) | buffer[p + 1]!;
      const value = buffer[p + 2]! * 0x1000000 + ((buffer[p + 3]! << 16) | (buffer[p + 4]! << 8) | buffer[p + 5]!);
      const error = this.#applyOne(id, value);
      if (error !== H2Error.noError) return error;
    }
    return H2Error.noError;
  }

  #applyOne(id: number, value: number): number {
    switch (id) {
      case SettingId.headerTableSize:
        this.headerTableSize = value;
        return H2Error.noError;
      case SettingId.enablePush:
        // A server has nothing to say about pushes but "no" (RFC 9113 section 6.5.2).
        return value > 1 || (value === 1 && !this.#isServer) ? H2Error.protocolError : H2Error.noError;
      case SettingId.maxConcurrentStreams:
        this.maxConcurrentStreams = Math.min(value, MAX_31_BITS);
        return H2Error.noError;
      case SettingId.initialWindowSize:
        if (value > MAX_31_BITS) return H2Error.flowControlError;
        this.initialWindowSize = value;
        return H2Error.noError;
      case SettingId.maxFrameSize:
        if (value < FRAME_SIZE_DEFAULT || value > FRAME_SIZE_LARGEST) return H2Error.protocolError;
        this.maxFrameSize = value;
        return H2Error.noError;
      case SettingId.enableConnectProtocol:
        if (value > 1 || (value === 0 && this.takesExtendedConnect)) return H2Error.protocolError;
        this.takesExtendedConnect = value === 1;
        return H2Error.noError;
      case SettingId.noRfc7540Priorities:
        return value > 1 ? H2Error.protocolError : H2Error.noError;
      default:
        return H2Error.noError;
    }
  }
}

export class LocalSettings {
  readonly limits: H2Limits;
  readonly isServer: boolean;
  readonly takesExtendedConnect: boolean;
  /** The peer knows them. */
  isAcknowledged = false;

  constructor(limits: H2Limits, isServer: boolean, takesExtendedConnect: boolean) {
    this.limits = limits;
    this.isServer = isServer;
    this.takesExtendedConnect = takesExtendedConnect;
  }

  /** Receive window of a new stream. Before the acknowledgement the peer may still use the default where ours is smaller. */
  get initialWindow(): number {
    const own = this.limits.streamWindowBytes;
    return this.isAcknowledged ? own : Math.max(own, WINDOW_DEFAULT);
  }

  /** Our SETTINGS frame; `SETTINGS_ROOM`. Values that are the protocol's defaults are left out. */
  write(out: Buffer, at: number): number {
    const { limits, isServer } = this;
    let p = at + 9;
    if (isServer) {
      p = writeSetting(out, p, SettingId.maxConcurrentStreams, limits.streamsMax);
      if (this.takesExtendedConnect) p = writeSetting(out, p, SettingId.enableConnectProtocol, 1);
      p = writeSetting(out, p, SettingId.noRfc7540Priorities, 1);
    } else p = writeSetting(out, p, SettingId.enablePush, 0);
    p = writeSetting(out, p, SettingId.initialWindowSize, limits.streamWindowBytes);
    p = writeSetting(out, p, SettingId.maxHeaderListSize, limits.headerBytesMax);
    if (limits.headerTableBytes !== TABLE_DEFAULT) p = writeSetting(out, p, SettingId.headerTableSize, limits.headerTableBytes);
    if (limits.maxFrameSizeBytes !== FRAME_SIZE_DEFAULT) p = writeSetting(out, p, SettingId.maxFrameSize, limits.maxFrameSizeBytes);
    writeSettingsHeader(out, at, (p - at - 9) / SETTING_BYTES);
    return p;
  }
}
