// How the end of a response's body is known (RFC 9112 section 6.3). Requests: the head parser sets it.

import { Framing, type MessageHead, Method } from "../http/head.ts";

/**
 * Framing of a response to a request with this method. `none`: no body byte follows, also for `Content-Length: 0`. The head's
 * fields were checked by the parser: it never has both a length and a coding.
 */
export function responseFraming(head: MessageHead, requestMethod: number): Framing {
  const { status } = head;
  if (requestMethod === Method.head || status < 200 || status === 204 || status === 304) return Framing.none;
  if (requestMethod === Method.connect && status < 300) return Framing.none;
  if (head.isChunked) return Framing.chunked;
  if (head.contentLength > 0) return Framing.length;
  return head.contentLength === 0 ? Framing.none : Framing.untilClose;
}
