// A client that sends bytes as they are given, and reads an answer to its end: what curl does, with nothing added.

import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly version: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Decoded from chunked coding if there was any. */
  readonly body: Buffer;
}

/** Sends `request` (text as UTF-8) and resolves to everything until the server closes. Rejects after `deadlineMs`. */
export function rawBytes(port: number, request: string | Buffer, deadlineMs = 5_000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const chunks: Buffer[] = [];
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end of the answer after ${deadlineMs} ms: ${Buffer.concat(chunks).toString("latin1")}`));
    }, deadlineMs);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(deadline);
      resolve(Buffer.concat(chunks));
    });
    socket.write(request);
  });
}

/** One request on a connection of its own, closed by `Connection: close`. */
export async function ask(
  port: number,
  method: string,
  target: string,
  headers: Record<string, string> = {},
  body = "",
): Promise<RawAnswer> {
  const fields = { host: `127.0.0.1:${port}`, ...headers, connection: "close" };
  const length = body === "" ? "" : `content-length: ${Buffer.byteLength(body)}\r\n`;
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return parse(await rawBytes(port, `${method} ${target} HTTP/1.1\r\n${lines.join("")}${length}\r\n${body}`), method);
}

/** Reads the first final answer of a byte stream that ended. */
export function parse(bytes: Buffer, method = "GET"): RawAnswer {
  const headEnd = bytes.indexOf("\r\n\r\n");
  const [start = "", ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const rest = bytes.subarray(headEnd + 4);
  const isChunked = method !== "HEAD" && headers["transfer-encoding"] === "chunked";
  const [version = "", status = "0"] = start.split(" ");
  return { status: Number(status), version, headers, body: isChunked ? unchunk(rest) : rest };
}

function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) throw new Error("the chunked body is not complete");
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (size === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}
