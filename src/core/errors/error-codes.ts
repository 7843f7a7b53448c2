// The one table of what can go wrong on the data path. docs/errors.md is checked against it by a test.
//
// Parsers return the small integers (negative at their call sites); objects and text are made only where somebody reads
// them. `status` is what the client is told when nothing of a response was sent; `close` whether its connection ends then.

export type ErrorOrigin = "downstream" | "upstream" | "internal";
export type RetryRule = "never" | "if-nothing-sent" | "if-reused-connection" | "idempotent-only";

export interface ErrorRow {
  /** Small integer for the hot path, never reused for another meaning. */
  readonly id: number;
  readonly origin: ErrorOrigin;
  readonly status: number;
  readonly close: boolean;
  readonly retry: RetryRule;
  /** The `error` label in metrics, '' for none. */
  readonly label: string;
  /** What happened, in one sentence, and what to do: it ends up in `l5d-proxy-error`, logs and docs. */
  readonly cause: string;
}

const request400 = (id: number, cause: string): ErrorRow => ({ id, origin: "downstream", status: 400, close: true, retry: "never", label: "bad request", cause });
const header = (id: number, label: string, cause: string): ErrorRow => ({ id, origin: "downstream", status: 0, close: true, retry: "never", label, cause });
const peer502 = (id: number, label: string, cause: string): ErrorRow => ({ id, origin: "upstream", status: 502, close: true, retry: "if-nothing-sent", label, cause });
const response502 = (id: number, cause: string): ErrorRow => ({ id, origin: "upstream", status: 502, close: true, retry: "never", label: "bad response", cause });

export const ERRORS = {
  // Malformed messages. The ids up to 39 are the parsers'; they serve requests (400) and responses (502) alike.
  WEFT_H1_BAD_METHOD: request400(1, "The method is not a token."),
  WEFT_H1_BAD_TARGET: request400(2, "The request target has a byte that is not allowed, or no form that fits the method."),
  WEFT_H1_BAD_VERSION: request400(3, "The version is not HTTP/1.0 or HTTP/1.1."),
  WEFT_H1_BARE_LF: request400(4, "A line ends in LF without CR."),
  WEFT_H1_BARE_CR: request400(5, "A CR is not followed by LF."),
  WEFT_H1_BAD_FIELD_NAME: request400(6, "A field name is empty or not a token, or white space stands before the colon."),
  WEFT_H1_BAD_FIELD_VALUE: request400(7, "A field value has a control character."),
  WEFT_H1_OBS_FOLD: request400(8, "A field is folded over several lines."),
  WEFT_H1_MISSING_COLON: request400(9, "A field line has no colon."),
  WEFT_H1_BAD_HOST: request400(10, "Host is missing (HTTP/1.1), given twice, or malformed."),
  WEFT_H1_BAD_CONTENT_LENGTH: request400(11, "Content-Length is not one plain decimal number, or there are differing ones."),
  WEFT_H1_LENGTH_WITH_CODING: request400(12, "Content-Length and Transfer-Encoding are both there."),
  WEFT_H1_BAD_TRANSFER_ENCODING: request400(13, "Transfer-Encoding is something other than exactly chunked, or came with HTTP/1.0."),
  WEFT_H1_BAD_CHUNK_SIZE: request400(14, "A chunk size is not 1 to 8 hexadecimal digits and CRLF."),
  WEFT_H1_BAD_CHUNK_END: request400(15, "The data of a chunk is not followed by CRLF."),
  WEFT_H1_BAD_TRAILER: request400(16, "A trailer field is malformed."),
  WEFT_H1_BAD_STATUS_LINE: response502(17, "The status line is malformed."),
  WEFT_H1_BAD_EXPECT: request400(18, "Expect asks for something other than 100-continue."),
  WEFT_H1_BAD_UPGRADE: request400(19, "Upgrade without Connection: upgrade, with a body, or on HTTP/1.0."),
  WEFT_H1_BAD_CONNECTION: request400(20, "Connection is malformed or names a field that may not be hop-by-hop."),
  WEFT_H1_HEAD_TOO_LARGE: { id: 30, origin: "downstream", status: 431, close: true, retry: "never", label: "too large", cause: "The head is larger than headerBytesMax." },
  WEFT_H1_TOO_MANY_FIELDS: { id: 31, origin: "downstream", status: 431, close: true, retry: "never", label: "too large", cause: "There are more fields than headerCountMax." },
  WEFT_H1_TARGET_TOO_LONG: { id: 32, origin: "downstream", status: 414, close: true, retry: "never", label: "too large", cause: "The request line alone is larger than headerBytesMax." },
  WEFT_H1_EXTENSION_TOO_LONG: request400(33, "A chunk extension is longer than Weft reads."),
  WEFT_H1_TRAILERS_TOO_LARGE: { id: 34, origin: "downstream", status: 431, close: true, retry: "never", label: "too large", cause: "The trailer section is larger than headerBytesMax." },

  // The client.
  WEFT_HEADER_DEADLINE: { id: 40, origin: "downstream", status: 408, close: true, retry: "never", label: "header deadline", cause: "The head was not complete within headerDeadlineMs." },
  WEFT_BODY_TOO_SLOW: { id: 41, origin: "downstream", status: 408, close: true, retry: "never", label: "body too slow", cause: "The request body arrived slower than bodyMinBytesPerSecond." },
  WEFT_BODY_TOO_LARGE: { id: 42, origin: "downstream", status: 413, close: true, retry: "never", label: "too large", cause: "The request body is larger than bodyBytesMax." },
  WEFT_CONNECT_REFUSED: { id: 43, origin: "downstream", status: 405, close: true, retry: "never", label: "connect not allowed", cause: "CONNECT is not allowed here; allowConnect turns it on for configured services." },
  WEFT_OPAQUE_NOT_ALLOWED: { id: 45, origin: "downstream", status: 400, close: true, retry: "never", label: "opaque not allowed", cause: "The port is declared HTTP, and the connection does not speak it." },
  WEFT_DOWNSTREAM_CLOSED: { id: 46, origin: "downstream", status: 499, close: true, retry: "never", label: "client closed", cause: "The client went away before its answer was complete." },
  WEFT_BAD_OVERRIDE: { id: 47, origin: "downstream", status: 400, close: false, retry: "never", label: "bad override", cause: "l5d-dst-override is not host[:port] of a configured service." },
  WEFT_WRITE_DEADLINE: { id: 48, origin: "downstream", status: 0, close: true, retry: "never", label: "write deadline", cause: "The client read less than writeMinBytesPerSecond for writeDeadlineMs, or another proxy took nothing for meshWriteDeadlineMs." },
  WEFT_H2_BAD_PROTOCOL: { id: 53, origin: "downstream", status: 501, close: false, retry: "never", label: "bad request", cause: "The :protocol of an extended CONNECT is not websocket." },
  WEFT_BAD_ORIG_PROTO: request400(54, "The l5d-orig-proto of another proxy of the mesh is there twice, or none that Weft knows."),
  WEFT_H2_PROTOCOL: { id: 49, origin: "downstream", status: 0, close: true, retry: "never", label: "http/2 protocol", cause: "The client broke HTTP/2 or flooded the connection; it was told with GOAWAY and closed." },

  WEFT_TLS_REQUIRED: { id: 50, origin: "downstream", status: 400, close: true, retry: "never", label: "tls required", cause: "The port has a certificate and takes TLS only; use https." },
  WEFT_TLS_HANDSHAKE: { id: 51, origin: "downstream", status: 0, close: true, retry: "never", label: "tls handshake", cause: "The TLS handshake failed or took longer than tlsHandshakeMs." },

  WEFT_TRANSPORT_HEADER: header(55, "transport header", "What stands before a connection of one of Linkerd's proxies is no transport header, or longer than Weft reads."),
  WEFT_TRANSPORT_HEADER_DEADLINE: header(56, "transport header deadline", "The transport header of one of Linkerd's proxies was not complete within headerDeadlineMs."),
  WEFT_TRANSPORT_HEADER_ANONYMOUS: header(57, "transport header anonymous", "Who sends a transport header must be a proxy of the mesh, and this client has shown no certificate."),

  WEFT_UNAUTHORIZED: { id: 58, origin: "downstream", status: 403, close: false, retry: "never", label: "unauthorized", cause: "The inbound policy does not admit this client." },

  // Routing and upstreams (reference: Linkerd's table of synthesised answers).
  WEFT_NO_ROUTE: { id: 60, origin: "internal", status: 404, close: false, retry: "never", label: "no route", cause: "No service has this name, and the request names none that a default could serve." },
  WEFT_CONNECT_FAILED: { id: 61, origin: "upstream", status: 502, close: true, retry: "if-nothing-sent", label: "i/o", cause: "Connecting to the endpoint failed." },
  WEFT_CONNECT_TIMEOUT: { id: 62, origin: "upstream", status: 504, close: true, retry: "if-nothing-sent", label: "connect timeout", cause: "Connecting to the endpoint took longer than connectTimeoutMs." },
  WEFT_FAIL_FAST: { id: 63, origin: "upstream", status: 504, close: true, retry: "never", label: "failfast", cause: "No endpoint of the service was ready within failFastTimeoutMs." },
  WEFT_LOAD_SHED: { id: 64, origin: "internal", status: 503, close: true, retry: "never", label: "loadshed", cause: "More requests wait than pendingRequestsMax." },
  WEFT_UPSTREAM_CLOSED: { id: 65, origin: "upstream", status: 502, close: true, retry: "if-reused-connection", label: "i/o", cause: "The upstream closed the connection before its response was complete." },
  WEFT_UPSTREAM_PROTOCOL: response502(66, "The upstream's response breaks HTTP; a service that speaks HTTP/2 only is declared so (ports: protocol: http2)."),
  WEFT_RESPONSE_TIMEOUT: { id: 67, origin: "upstream", status: 504, close: false, retry: "never", label: "response timeout", cause: "The upstream did not begin its response within responseTimeoutMs." },
  WEFT_LOOP: { id: 68, origin: "internal", status: 508, close: true, retry: "never", label: "loop", cause: "The endpoint, or the address that a redirected connection was made to, is one of this proxy's own listeners." },
  WEFT_WRITE_STALLED: { id: 69, origin: "upstream", status: 504, close: true, retry: "never", label: "write deadline", cause: "The upstream took less than writeMinBytesPerSecond for writeDeadlineMs, or another proxy took nothing for meshWriteDeadlineMs." },
  WEFT_UPSTREAM_REFUSED: { id: 70, origin: "upstream", status: 503, close: false, retry: "if-nothing-sent", label: "refused", cause: "The upstream refused the stream unprocessed (REFUSED_STREAM or GOAWAY), and so did the others that were tried." },
  WEFT_NO_TARGET: { id: 73, origin: "internal", status: 404, close: false, retry: "never", label: "no target", cause: "Another proxy of the mesh asks for a port that is neither an inbound port of this one nor the target of one." },
  WEFT_TUNNEL_REFUSED: { id: 72, origin: "upstream", status: 502, close: true, retry: "never", label: "tunnel refused", cause: "The other proxy of the mesh does not take opaque connections for this port, or not from this one." },
  WEFT_UPSTREAM_RESET: { id: 71, origin: "upstream", status: 502, close: false, retry: "never", label: "reset", cause: "The upstream reset the stream before its response was complete." },

  // Peers of the mesh. As clients they are not answered: their connection is closed.
  WEFT_PEER_EXPIRED: peer502(120, "peer expired", "The peer's certificate, or one of its issuers', has expired; look at its renewal and at both clocks."),
  WEFT_PEER_NOT_YET_VALID: peer502(121, "peer not yet valid", "The peer's certificate, or one of its issuers', is not valid yet; look at both clocks."),
  WEFT_PEER_UNTRUSTED: peer502(122, "peer untrusted", "The peer's certificate does not come from a root that this proxy trusts."),
  WEFT_PEER_PURPOSE: peer502(123, "peer purpose", "The peer's certificate, or one of its issuers', is not for what it was used for: TLS servers need serverAuth, clients clientAuth, issuers must be authorities."),
  WEFT_PEER_WEAK_KEY: peer502(124, "peer weak key", "The peer's key, or one of its issuers', is none of P-256, P-384, Ed25519, or RSA with 2048 bits or more."),
  WEFT_PEER_CHAIN_TOO_LONG: peer502(125, "peer chain too long", "The peer's certificate has more issuers above it than Weft follows."),
  WEFT_PEER_IDENTITY: peer502(126, "peer without identity", "The peer's certificate does not hold exactly one identity as its alternative names; the common name does not count."),
  WEFT_PEER_OTHER_IDENTITY: peer502(127, "peer of another identity", "Somebody else than the identity that the endpoint should have answered there."),
  WEFT_MESH_HANDSHAKE: peer502(
    128,
    "mesh handshake",
    "The mesh TLS handshake with the endpoint failed, or its proxy refused this one right after it. A proxy that is asked for another name than its own passes TLS on to its service: check the endpoint's identity (weft identity HOST:PORT shows it), then the log of the endpoint's proxy.",
  ),
  WEFT_MESH_PLAIN: peer502(132, "mesh plain", "The endpoint answered the mesh TLS handshake in plain bytes: its service is there without a proxy of the mesh before it, or a busy proxy had taken this one for a client that waits for the service's first word, which is tried again at once."),
  WEFT_MESH_PROTOCOL: peer502(129, "mesh protocol", "The endpoint speaks mesh TLS, but not HTTP/2 within."),
  WEFT_MESH_SILENT: { id: 131, origin: "upstream", status: 504, close: true, retry: "if-reused-connection", label: "mesh silent", cause: "The other proxy of the mesh did not answer a PING within meshPingTimeoutMs: it, or the way to it, is dead; the connection was closed." },
  WEFT_NO_IDENTITY: { id: 130, origin: "internal", status: 503, close: false, retry: "if-nothing-sent", label: "no identity", cause: "The endpoint needs mesh TLS, and this proxy has no certificate yet, or spec.identity is not set." },

  // Weft itself.
  WEFT_DRAINED: { id: 80, origin: "internal", status: 503, close: true, retry: "never", label: "drained", cause: "The proxy is shutting down and the grace period is over." },
  WEFT_INTERNAL: { id: 81, origin: "internal", status: 500, close: true, retry: "never", label: "unexpected", cause: "A bug in Weft; this connection was closed and the error logged." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** Code of each id, for logs and answers. */
const BY_ID: (ErrorCode | undefined)[] = [];
for (const [code, row] of Object.entries(ERRORS)) BY_ID[row.id] = code as ErrorCode;

/** The code of an id; ids come from parsers, so an unknown one is a bug: `WEFT_INTERNAL`. */
export function errorCode(id: number): ErrorCode {
  return BY_ID[id] ?? "WEFT_INTERNAL";
}

/** The row of an id. */
export function errorRow(id: number): ErrorRow {
  return ERRORS[errorCode(id)];
}
