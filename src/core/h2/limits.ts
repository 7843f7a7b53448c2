// The limits of an HTTP/2 connection, handed in as one frozen object, with the defaults and their reasons.
//
// The rates are leaky buckets of two seconds' worth (flood-guard.ts): a burst of 2 x rate passes, then rate per second. Over a rate
// the connection ends with ENHANCE_YOUR_CALM. Work pays for overhead: streams opened and DATA sent make room where that is said.

export interface H2Limits {
  /** count. SETTINGS_MAX_CONCURRENT_STREAMS of ours, unreleased ones included. 100, as RFC 9113 6.5.2 asks at least; over it: REFUSED_STREAM. */
  readonly streamsMax: number;
  /** bytes, up to 2^31 - 1. Receive window of a stream at its beginning: what one stalled exchange may hold. 32 KiB: hundreds of them stay below 16 MB. */
  readonly streamWindowBytes: number;
  /** bytes, up to 2^31 - 1. What it grows to while all that comes leaves at once. 1 MiB is 8 Gb/s at 1 ms. */
  readonly streamWindowMaxBytes: number;
  /** bytes, 65,535 to 2^31 - 1. Receive window of the connection: bytes in flight. 1 MiB, so that four streams fill it. */
  readonly connectionWindowBytes: number;
  /** bytes. What all stream windows together may grow by. 4 MiB: four streams at full speed. */
  readonly windowGrowthBytes: number;
  /** bytes. A decoded head in its HTTP/1 form; trailers likewise. 32 KiB, as for HTTP/1; over it: 431. */
  readonly headerBytesMax: number;
  /** count. Fields per head, 256 at most. 100, as for HTTP/1; over it: 431. */
  readonly headerCountMax: number;
  /** bytes, 16,384 to 2^24 - 1. Largest frame that we take (SETTINGS_MAX_FRAME_SIZE). 16,384: every peer's default. */
  readonly maxFrameSizeBytes: number;
  /** bytes. Dynamic table of our decoder, and the most of the peer's that our encoder uses. 4096: the protocol's default. */
  readonly headerTableBytes: number;
  /**
   * 1/s. RST_STREAM for open streams (rapid reset, CVE-2023-44487): each may have started upstream work. 75, and a fourth of the streams opened
   * make room: an attack has started 200 requests when it is cut off; 100 streams that time out each second pass.
   */
  readonly resetsPerSecondMax: number;
  /** 1/s. Streams that we reset because of what the peer sent (MadeYouReset, CVE-2025-8671). 50. */
  readonly faultsPerSecondMax: number;
  /** 1/s. Streams above streamsMax, and RST_STREAM for streams that are over. 500; streams opened make room. */
  readonly refusalsPerSecondMax: number;
  /** 1/s. SETTINGS, each of which is answered. 16; peers send one to three in all. */
  readonly settingsPerSecondMax: number;
  /** 1/s. PING, each of which is answered. 500: gRPC measures bandwidth with one per round trip. */
  readonly pingsPerSecondMax: number;
  /** 1/s. PRIORITY and PRIORITY_UPDATE. 500; streams opened make room. */
  readonly prioritiesPerSecondMax: number;
  /** 1/s. DATA without data and without END_STREAM: it does nothing. 50. */
  readonly emptyDataPerSecondMax: number;
  /** 1/s. DATA of 1 to 4 bytes without END_STREAM: less than a gRPC prefix, all cost and no load. 1000. */
  readonly tinyDataPerSecondMax: number;
  /** 1/s. WINDOW_UPDATE. 1000; each DATA frame that we send, and each stream opened, makes room for four. */
  readonly windowUpdatesPerSecondMax: number;
  /** 1/s. Frames of unknown types, GOAWAY, late HEADERS and small late DATA for streams that we reset. 1000. */
  readonly unknownFramesPerSecondMax: number;
}

/** The defaults. */
export const DEFAULT_H2_LIMITS: H2Limits = Object.freeze({
  streamsMax: 100,
  streamWindowBytes: 32 * 1024,
  streamWindowMaxBytes: 1024 * 1024,
  connectionWindowBytes: 1024 * 1024,
  windowGrowthBytes: 4 * 1024 * 1024,
  headerBytesMax: 32 * 1024,
  headerCountMax: 100,
  maxFrameSizeBytes: 16_384,
  headerTableBytes: 4096,
  resetsPerSecondMax: 75,
  faultsPerSecondMax: 50,
  refusalsPerSecondMax: 500,
  settingsPerSecondMax: 16,
  pingsPerSecondMax: 500,
  prioritiesPerSecondMax: 500,
  emptyDataPerSecondMax: 50,
  tinyDataPerSecondMax: 1000,
  windowUpdatesPerSecondMax: 1000,
  unknownFramesPerSecondMax: 1000,
});

/**
 * bytes. All that streams may hold that was delivered and has not left: every one of them its window, and what they may grow by. The
 * connection gives credit up to that, so that streams that stall, be it all but one, never shut the window for the one that does not.
 */
export function undrainedBytesMax(limits: H2Limits): number {
  return Math.max(limits.connectionWindowBytes, limits.streamsMax * limits.streamWindowBytes) + limits.windowGrowthBytes;
}
