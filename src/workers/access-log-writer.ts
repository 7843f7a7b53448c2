// Access log lines to standard output: Apache's combined format or JSON, as Linkerd's two formats.
//
// Lines gather for a moment and leave in one write, straight from the worker's thread: the main thread is not asked per request.
// When standard output does not take them (a full pipe), lines are dropped and counted, and the count is said in the log itself.

import { writeSync } from "node:fs";
import type { AccessLog, AccessRecord } from "./forwarder-context.ts";

const FLUSH_MS = 100;
/** Gathered text above which it is written at once. */
const FLUSH_CHARS = 32 * 1024;
const STDOUT = 1;

export class AccessLogWriter implements AccessLog {
  readonly #isJson: boolean;
  #lines: string[] = [];
  #chars = 0;
  #timer: NodeJS.Timeout | null = null;
  #dropped = 0;

  constructor(format: "apache" | "json") {
    this.#isJson = format === "json";
  }

  write(record: AccessRecord): void {
    const line = this.#isJson ? jsonLine(record) : apacheLine(record);
    this.#lines.push(line);
    this.#chars += line.length;
    if (this.#chars >= FLUSH_CHARS) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS);
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const lines = this.#lines;
    this.#lines = [];
    this.#chars = 0;
    const lost = this.#dropped > 0 ? `${JSON.stringify({ dropped_access_log_lines: this.#dropped })}\n` : "";
    try {
      writeSync(STDOUT, lost + lines.join(""));
      this.#dropped = 0;
    } catch {
      this.#dropped += lines.length;
    }
  }
}

function jsonLine(record: AccessRecord): string {
  return `${JSON.stringify({
    timestamp: new Date().toISOString(),
    "client.addr": record.peer,
    ...(record.clientId === "-" ? {} : { "client.id": record.clientId }),
    method: record.method,
    uri: record.target,
    host: record.host,
    version: versionText(record),
    status: record.status,
    response_bytes: record.responseBytes,
    processing_ns: Math.round(record.durationMs * 1e6),
    service: record.service,
    endpoint: record.endpoint,
    user_agent: record.userAgent,
    ...(record.error === "" ? {} : { error: record.error }),
  })}\n`;
}

function apacheLine(record: AccessRecord): string {
  const time = apacheTime(new Date());
  const request = `${quoted(record.method)} ${quoted(record.target)} ${versionText(record)}`;
  return `${record.peer} - ${record.clientId} [${time}] "${request}" ${record.status} ${record.responseBytes} "${quoted(record.referer)}" "${quoted(record.userAgent)}"\n`;
}

function versionText(record: AccessRecord): string {
  if (record.version === 20) return "HTTP/2.0";
  return record.version === 10 ? "HTTP/1.0" : "HTTP/1.1";
}

/** What a client sent must not end the quotes or the line. */
function quoted(text: string): string {
  return text.replace(/[\\"]/g, "\\$&").replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function apacheTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}
