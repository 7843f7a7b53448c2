// Every limit of the data plane: name, default, unit, reason. docs/limits.md is checked against this table by a test.
// Each can be set per proxy (`spec.limits`). Over a limit there is a clear answer (status, close), never growth.

export interface LimitRow {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit: "bytes" | "count" | "ms" | "bytes/s" | "1/s";
  readonly reason: string;
}

const KiB = 1024;
const MiB = 1024 * KiB;

export const LIMITS = {
  headerBytesMax: { default: 32 * KiB, min: 1 * KiB, max: 256 * KiB, unit: "bytes", reason: "a whole head; nginx takes 32 KB in all, Node 16; over it: 431, a start line alone over it: 414" },
  headerCountMax: { default: 100, min: 8, max: 256, unit: "count", reason: "fields per head, trailers likewise; as HAProxy's 101; over it: 431" },
  headerDeadlineMs: { default: 10_000, min: 100, max: 600_000, unit: "ms", reason: "from the first byte of a head to its end (slowloris); over it: 408" },
  bodyMinBytesPerSecond: { default: 100, min: 0, max: 10 * MiB, unit: "bytes/s", reason: "a client's body must arrive at least this fast, averaged over bodyRateWindowMs (slow POST); under it: 408; 0: no check" },
  bodyRateWindowMs: { default: 10_000, min: 100, max: 600_000, unit: "ms", reason: "window of the check above; only time in which Weft wanted bytes counts" },
  bodyBytesMax: { default: 0, min: 0, max: Number.MAX_SAFE_INTEGER, unit: "bytes", reason: "request bodies over it: 413; 0: no limit, a proxy streams" },
  writeDeadlineMs: { default: 20_000, min: 100, max: 600_000, unit: "ms", reason: "a connection with bytes that its kernel does not take is looked at after so long (slow reader): closed below the rate of the next line" },
  writeMinBytesPerSecond: { default: 100, min: 0, max: 10 * MiB, unit: "bytes/s", reason: "a peer must acknowledge waiting bytes at least this fast, averaged over writeDeadlineMs; 0: any progress will do" },
  idleTimeoutMs: { default: 60_000, min: 100, max: 86_400_000, unit: "ms", reason: "a keep-alive client connection without a request; nginx's is 75 s; closed without an answer" },
  tunnelIdleTimeoutMs: { default: 3_600_000, min: 100, max: 86_400_000, unit: "ms", reason: "opaque and upgraded connections without a byte in either direction" },
  halfClosedIdleMs: { default: 60_000, min: 100, max: 86_400_000, unit: "ms", reason: "the same once one side has ended: the other may never (HAProxy's timeout client-fin); also what a drain waits for such a tunnel" },
  responseTimeoutMs: { default: 0, min: 0, max: 86_400_000, unit: "ms", reason: "from the whole request sent to the response's head; over it: 504; 0: none, the caller decides" },
  connectionsMax: { default: 10_000, min: 1, max: 1_000_000, unit: "count", reason: "accepted connections per proxy; over it: closed at once and counted" },
  pipelinedBytesMax: { default: 64 * KiB, min: 1 * KiB, max: 1 * MiB, unit: "bytes", reason: "bytes of later requests kept while one is in flight; over it the socket is not read" },
  requestsPerConnectionMax: { default: 0, min: 0, max: 1_000_000_000, unit: "count", reason: "then Connection: close; 0: no limit" },
  writeBufferBytesMax: { default: 32 * KiB, min: 16 * KiB, max: 16 * MiB, unit: "bytes", reason: "unsent bytes per socket above which its source is paused, beside what the kernel holds" },
  kernelUnsentBytesMax: { default: 128 * KiB, min: 16 * KiB, max: 1024 * MiB, unit: "bytes", reason: "and in the kernel, per client socket, beside what is in flight (TCP_NOTSENT_LOWAT): without it a slow reader is given megabytes at once" },
  detectTimeoutMs: { default: 20, min: 1, max: 10_000, unit: "ms", reason: "no byte from the client for so long: dial the upstream, it may speak first (MySQL, SMTP, NATS)" },
  connectTimeoutMs: { default: 1_000, min: 10, max: 60_000, unit: "ms", reason: "TCP connect to an endpoint, Linkerd's outbound default; over it: 504" },
  failFastTimeoutMs: { default: 3_000, min: 10, max: 60_000, unit: "ms", reason: "a request waits so long for a ready endpoint, Linkerd's default; over it: 504" },
  pendingRequestsMax: { default: 10_000, min: 1, max: 1_000_000, unit: "count", reason: "requests per worker and service that wait for an endpoint or a connection; over it: 503" },
  upstreamConnectionsMax: { default: 1_024, min: 1, max: 100_000, unit: "count", reason: "connections per worker and endpoint; requests above wait in the queue" },
  upstreamIdleMax: { default: 256, min: 0, max: 100_000, unit: "count", reason: "idle pooled connections per worker and endpoint" },
  upstreamIdleTimeoutMs: { default: 30_000, min: 100, max: 3_600_000, unit: "ms", reason: "an idle pooled connection is closed; below the 60 to 75 s of most servers, so that ours goes first" },
  meshIdleTimeoutMs: { default: 600_000, min: 100, max: 86_400_000, unit: "ms", reason: "the last idle connection to another proxy of the mesh stays so long, and is dialled again before it is asked for: no request after a pause pays a handshake; the other proxy waits twice as long" },
  meshPingIntervalMs: { default: 10_000, min: 100, max: 3_600_000, unit: "ms", reason: "a connection between two proxies on which nothing came for so long is asked by PING whether anybody is there, as Linkerd's are" },
  meshPingTimeoutMs: { default: 3_000, min: 100, max: 600_000, unit: "ms", reason: "and closed without an answer for so long; the endpoint pauses, the next request goes elsewhere or to a new connection" },
  meshWriteDeadlineMs: { default: 600_000, min: 100, max: 86_400_000, unit: "ms", reason: "a stream between two proxies whose bytes wait without any credit for so long is reset, as writeDeadlineMs does elsewhere: longer, because the other proxy ends who reads too slowly itself, and gives credit by half windows" },
  reconnectBackoffMinMs: { default: 100, min: 1, max: 60_000, unit: "ms", reason: "first pause after a failed connect to an endpoint (Linkerd)" },
  reconnectBackoffMaxMs: { default: 10_000, min: 1, max: 600_000, unit: "ms", reason: "longest pause; an endpoint that is back serves within it" },
  reconnectQuickMaxMs: { default: 400, min: 1, max: 600_000, unit: "ms", reason: "longest pause after a refused connect, of a service's only endpoint, and of one whose proxy does not reach its application: trying costs little; an inbound target is tried every reconnectBackoffMinMs" },
  lingerMs: { default: 2_000, min: 10, max: 60_000, unit: "ms", reason: "after an error answer, how long a client's upload is read and dropped before the close" },
  lingerBytesMax: { default: 16 * MiB, min: 0, max: 1024 * MiB, unit: "bytes", reason: "and how many bytes of it" },
  drainGraceMs: { default: 120_000, min: 0, max: 3_600_000, unit: "ms", reason: "Linkerd's shutdown grace period: then what is left is cut, and said" },
  drainIdleMs: { default: 1_000, min: 0, max: 60_000, unit: "ms", reason: "while draining, a keep-alive connection waits so long behind its last request for one that is already on its way; who has asked nothing for longer is let go at once" },
  tlsHandshakeMs: { default: 10_000, min: 100, max: 600_000, unit: "ms", reason: "from the accept to the end of the TLS handshake, at listeners with tls; over it: closed" },
  tlsHandshakesMax: { default: 1_000, min: 1, max: 100_000, unit: "count", reason: "TLS handshakes under way per worker, about 100 KB and a millisecond each; over it: closed" },
  seriesMax: { default: 10_000, min: 100, max: 200_000, unit: "count", reason: "metric label sets per worker; the rest counts as `other`" },
  dnsTtlMaxMs: { default: 5_000, min: 100, max: 3_600_000, unit: "ms", reason: "a name is resolved again after min(TTL, this); Docker's DNS says 600 s" },

  // HTTP/2, per connection (core/h2). Over one of the rates the connection ends with ENHANCE_YOUR_CALM; a burst of two seconds' worth passes.
  http2StreamsMax: { default: 100, min: 1, max: 10_000, unit: "count", reason: "SETTINGS_MAX_CONCURRENT_STREAMS, as RFC 9113 6.5.2 asks at least; over it: REFUSED_STREAM; as many at most on a connection to an endpoint, whatever it allows" },
  http2StreamWindowBytes: { default: 32 * KiB, min: 16 * KiB, max: 2 ** 31 - 1, unit: "bytes", reason: "receive window of a stream at its beginning: what one stalled exchange may hold; it doubles while all that comes leaves at once" },
  http2StreamWindowMaxBytes: { default: 1 * MiB, min: 16 * KiB, max: 2 ** 31 - 1, unit: "bytes", reason: "what it grows to while all that comes leaves at once; 1 MiB is 8 Gb/s at 1 ms" },
  http2ConnectionWindowBytes: { default: 1 * MiB, min: 64 * KiB - 1, max: 2 ** 31 - 1, unit: "bytes", reason: "receive window of the connection: bytes in flight" },
  http2WindowGrowthBytes: { default: 4 * MiB, min: 0, max: 1024 * MiB, unit: "bytes", reason: "what all stream windows of a connection together may grow by: four streams at full speed" },
  http2HeaderTableBytes: { default: 4096, min: 0, max: 64 * KiB, unit: "bytes", reason: "HPACK's dynamic table, ours and what we use of the peer's; the protocol's default" },
  http2ResetsPerSecondMax: { default: 75, min: 1, max: 1_000_000, unit: "1/s", reason: "RST_STREAM for open streams (rapid reset, CVE-2023-44487); streams opened make room for a fourth: 100 at first, 200 in all" },
  http2FaultsPerSecondMax: { default: 50, min: 1, max: 1_000_000, unit: "1/s", reason: "streams that we reset because of what the peer sent (MadeYouReset, CVE-2025-8671)" },
  http2RefusalsPerSecondMax: { default: 500, min: 1, max: 1_000_000, unit: "1/s", reason: "streams above http2StreamsMax, and RST_STREAM for streams that are over" },
  http2UpstreamResetsMax: { default: 100, min: 1, max: 1_000_000, unit: "count", reason: "streams that we reset on a connection to an endpoint; then it is retired, before the endpoint takes them for an attack" },
  http2SettingsPerSecondMax: { default: 16, min: 1, max: 1_000_000, unit: "1/s", reason: "SETTINGS, each of which is answered; peers send one to three in all" },
  http2PingsPerSecondMax: { default: 500, min: 1, max: 1_000_000, unit: "1/s", reason: "PING, each of which is answered; gRPC measures bandwidth with one per round trip" },
  http2PrioritiesPerSecondMax: { default: 500, min: 1, max: 1_000_000, unit: "1/s", reason: "PRIORITY and PRIORITY_UPDATE; streams opened make room" },
  http2EmptyDataPerSecondMax: { default: 50, min: 1, max: 1_000_000, unit: "1/s", reason: "DATA without data and without END_STREAM: it does nothing" },
  http2TinyDataPerSecondMax: { default: 1000, min: 1, max: 1_000_000, unit: "1/s", reason: "DATA of 1 to 4 bytes without END_STREAM: less than a gRPC prefix" },
  http2WindowUpdatesPerSecondMax: { default: 1000, min: 1, max: 1_000_000, unit: "1/s", reason: "WINDOW_UPDATE; each DATA frame that we send, and each stream opened, makes room for four" },
  http2UnknownFramesPerSecondMax: { default: 1000, min: 1, max: 1_000_000, unit: "1/s", reason: "frames of unknown types, and late ones for streams that we reset" },
} as const satisfies Record<string, LimitRow>;

export type LimitName = keyof typeof LIMITS;
export type Limits = Readonly<Record<LimitName, number>>;

/** The defaults, frozen. */
export const DEFAULT_LIMITS: Limits = Object.freeze(Object.fromEntries(Object.entries(LIMITS).map(([name, row]) => [name, row.default]))) as Limits;
