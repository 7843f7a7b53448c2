// One HTTP request with a deadline and a bounded answer, to an admin port or to a container engine's socket.

import { request } from "node:http";

/** Where to ask: a host's port, or a socket in the file system. */
export type Place = { readonly host: string; readonly port: number } | { readonly socketPath: string };

export interface Question {
  readonly method?: "GET" | "HEAD" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: object;
  readonly deadlineMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** This host's clock when the question left and when the answer's head was there; Unix milliseconds. */
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
}

/** Whoever is asked answers from memory; a busy machine may need a while. */
const DEADLINE_MS = 10_000;

/** /metrics of a proxy with many services has some hundred KB. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** Rejects with an Error whose message says why there is no answer. */
export async function ask(place: Place, { method = "GET", path, headers, json, deadlineMs = DEADLINE_MS }: Question): Promise<Answer> {
  const content = json === undefined ? "" : JSON.stringify(json);
  const described = json === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(content) };
  const askedAtMs = Date.now();
  return await new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(deadlineMs);
    const fail = (error: NodeJS.ErrnoException): void => reject(new Error(reasonOf(error, signal.aborted, deadlineMs)));
    // No `host` field for a socket: engines take any, and an IPv6 address would need brackets.
    const call = request({ ...place, method, path, headers: { ...headers, ...described }, agent: false, signal }, (response) => {
      const answeredAtMs = Date.now();
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > BODY_BYTES_MAX) response.destroy(new Error("its answer has no end"));
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks), askedAtMs, answeredAtMs });
      });
      response.on("error", fail);
    });
    call.on("error", fail);
    call.end(content);
  });
}

function reasonOf(error: NodeJS.ErrnoException, isLate: boolean, deadlineMs: number): string {
  if (isLate) return `no answer within ${deadlineMs / 1000} s`;
  switch (error.code) {
    case "ECONNREFUSED":
      return "nobody listens there";
    case "ENOENT":
      return "the socket is not there";
    case "EACCES":
      return "this user may not open the socket";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "its name cannot be looked up";
    default:
      return error.code === undefined ? error.message : `${error.code}: ${error.message}`;
  }
}
