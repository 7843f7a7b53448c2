// What the access log says of a finished exchange. Called only while the log is on: strings are made here.

import { FIELD_STRIDE, FieldId, type MessageHead } from "../core/http/head.ts";
import { errorCode } from "../core/errors/error-codes.ts";
import type { Exchange } from "./exchange.ts";
import type { ForwarderContext } from "./forwarder-context.ts";
import type { HeadSlot } from "./h1-shared.ts";
import type { Transport } from "./transport.ts";

/** `exchange` null: the request was refused before it was one, with `refusedStatus`. */
export function recordAccess(
  context: ForwarderContext,
  exchange: Exchange | null,
  slot: HeadSlot | null,
  transport: Transport,
  refusedStatus = 0,
): void {
  const head = slot?.head ?? null;
  const isParsed = head !== null && head.size > 0;
  context.accessLog?.write({
    peer: transport.peerAddress().address,
    method: isParsed ? head.text(0, head.methodEnd) : "-",
    target: isParsed ? head.text(head.targetStart, head.targetEnd) : "-",
    version: isParsed ? head.version : 11,
    host: isParsed ? head.text(head.authorityStart, head.authorityEnd) : "-",
    status: refusedStatus > 0 ? refusedStatus : (exchange?.status ?? 0),
    responseBytes: exchange?.responseBytes ?? 0,
    durationMs: exchange === null ? 0 : context.loop.now - exchange.startedAt,
    clientId: exchange?.clientId ?? "-",
    service: exchange?.serviceKey ?? "-",
    endpoint: exchange?.endpointAddress ?? "-",
    userAgent: isParsed ? fieldNamed(head, "user-agent") : "-",
    referer: isParsed ? fieldNamed(head, "referer") : "-",
    error: exchange !== null && exchange.errorId !== 0 ? errorCode(exchange.errorId) : "",
  });
}

function fieldNamed(head: MessageHead, name: string): string {
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== FieldId.other) continue;
    const at = i * FIELD_STRIDE;
    const start = head.fields[at]!;
    const end = head.fields[at + 1]!;
    if (end - start !== name.length) continue;
    if (head.text(start, end).toLowerCase() === name) return head.text(head.fields[at + 2]!, head.fields[at + 3]!);
  }
  return "-";
}
