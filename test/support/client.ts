// Clients: a scripted connection, and the few shapes of requests that most tests need.

import { connect as connectSocket } from "node:net";
import type { Message, ReadOptions } from "./http-lite.ts";
import { within } from "./wait.ts";
import { Wire } from "./wire.ts";

/** A connection to a loopback port, from a loopback address of choice. Half-open like every socket of Weft: reading goes on after FIN. */
export async function connect(port: number, host = "127.0.0.1", localAddress?: string): Promise<Wire> {
  const socket = connectSocket({ port, host, allowHalfOpen: true, noDelay: true, ...(localAddress && { localAddress }) });
  const wire = new Wire(socket);
  await within(
    `a connection to ${host}:${port}`,
    new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    }),
  );
  return wire;
}

/** Text of a request: `request("GET", "/x", { Host: "web" })`. A body gets its Content-Length. */
export function request(method: string, target: string, headers: Readonly<Record<string, string>> = {}, body?: string): string {
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!("Host" in headers)) lines.push("Host: web");
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
  return `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`;
}

/** One request on a connection of its own: the answer to these bytes. */
export async function once(port: number, bytes: string | Buffer, options: ReadOptions = {}): Promise<Message> {
  const wire = await connect(port);
  try {
    void wire.send(bytes);
    return await wire.expectResponse(options);
  } finally {
    wire.destroy();
  }
}
