// The configured limits as the HTTP/2 engine wants them: the same numbers under its own names.

import type { Limits } from "../config/limits.ts";
import type { H2Limits } from "../core/h2/limits.ts";

/** SETTINGS_MAX_FRAME_SIZE: every peer's default, and what one read of the shared buffer holds. */
const FRAME_BYTES_MAX = 16_384;

export function h2Limits(limits: Limits): H2Limits {
  return Object.freeze({
    streamsMax: limits.http2StreamsMax,
    streamWindowBytes: limits.http2StreamWindowBytes,
    streamWindowMaxBytes: Math.max(limits.http2StreamWindowMaxBytes, limits.http2StreamWindowBytes),
    connectionWindowBytes: limits.http2ConnectionWindowBytes,
    windowGrowthBytes: limits.http2WindowGrowthBytes,
    headerBytesMax: limits.headerBytesMax,
    headerCountMax: limits.headerCountMax,
    maxFrameSizeBytes: FRAME_BYTES_MAX,
    headerTableBytes: limits.http2HeaderTableBytes,
    resetsPerSecondMax: limits.http2ResetsPerSecondMax,
    faultsPerSecondMax: limits.http2FaultsPerSecondMax,
    refusalsPerSecondMax: limits.http2RefusalsPerSecondMax,
    settingsPerSecondMax: limits.http2SettingsPerSecondMax,
    pingsPerSecondMax: limits.http2PingsPerSecondMax,
    prioritiesPerSecondMax: limits.http2PrioritiesPerSecondMax,
    emptyDataPerSecondMax: limits.http2EmptyDataPerSecondMax,
    tinyDataPerSecondMax: limits.http2TinyDataPerSecondMax,
    windowUpdatesPerSecondMax: limits.http2WindowUpdatesPerSecondMax,
    unknownFramesPerSecondMax: limits.http2UnknownFramesPerSecondMax,
  });
}
