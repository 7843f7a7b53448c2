// Messages as they come in real life, for the micro benchmarks of the HTTP/1 code.

import { Buffer } from "node:buffer";

/** As configured by default; the messages here are far below. */
export const HEAD_LIMITS = { headerBytesMax: 32 * 1024, headerCountMax: 100 };

/** What `ab -k` sends. */
export const AB_REQUEST = Buffer.from(
  "GET /small HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: 127.0.0.1:4140\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n",
);

/** Seven fields, none of which a proxy has to change. */
export const API_REQUEST = Buffer.from(
  "GET /api/v1/items/4711?expand=all HTTP/1.1\r\nHost: shop.example.com:4140\r\nUser-Agent: curl/8.5.0\r\nAccept: application/json\r\n" +
    "Accept-Encoding: gzip, deflate\r\nX-Request-Id: 7f3c2a90-1c1d-4e0a-9f57-2b1f8f0a1c11\r\nCookie: session=abcdef0123456789abcdef\r\nCache-Control: no-cache\r\n\r\n",
);

/** Hop-by-hop fields in the middle: the forwarded head is several runs of bytes instead of one. */
export const HOP_REQUEST = Buffer.from(
  "GET /api/v1/items HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nAccept: */*\r\nX-Hop: 1\r\n" +
    "User-Agent: curl/8.5.0\r\nTE: trailers\r\nX-Request-Id: 7f3c2a90-1c1d-4e0a-9f57-2b1f8f0a1c11\r\n\r\n",
);

export const RESPONSE = Buffer.from(
  "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 05 Oct 2026 10:00:00 GMT\r\nContent-Type: application/octet-stream\r\nContent-Length: 248\r\n" +
    'Last-Modified: Mon, 05 Oct 2026 09:00:00 GMT\r\nConnection: keep-alive\r\nETag: "68e2-f8"\r\nAccept-Ranges: bytes\r\n\r\n',
);
