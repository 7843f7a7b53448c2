// Numbers of RFC 9113: frame types (6), flags, settings (6.5.2), error codes (7); and of RFC 8441 and RFC 9218.

/** Bytes of the header in front of every frame (RFC 9113 section 4.1). */
export const FRAME_HEADER_BYTES = 9;

export const FrameType = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
  /** RFC 9218 section 7.1. */
  priorityUpdate: 0x10,
} as const;

export const Flag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const SettingId = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  /** RFC 8441 section 3. */
  enableConnectProtocol: 0x8,
  /** RFC 9218 section 2.1. */
  noRfc7540Priorities: 0x9,
} as const;

/** Error codes of RST_STREAM and GOAWAY. Codes of a peer may be any 32 bits. */
export const H2Error = {
  noError: 0x0,
  protocolError: 0x1,
  internalError: 0x2,
  flowControlError: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSizeError: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compressionError: 0x9,
  connectError: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
} as const;

/** Largest window, stream number and increment. */
export const MAX_31_BITS = 0x7fffffff;

/** Windows before any SETTINGS (RFC 9113 section 6.9.2). */
export const WINDOW_DEFAULT = 65_535;

/** Payload that every peer takes (RFC 9113 section 4.2), and the most that any peer may ask for. */
export const FRAME_SIZE_DEFAULT = 16_384;
export const FRAME_SIZE_LARGEST = 0xffffff;
