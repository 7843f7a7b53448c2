// TLS clients: a scripted connection over TLS, what was negotiated, and a raw one that shows records as they are.

import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { Message, ReadOptions } from "./http-lite.ts";
import { within } from "./wait.ts";
import { Wire } from "./wire.ts";

export interface TlsWire extends Wire {
  readonly socket: TLSSocket;
}

/** A TLS connection to a loopback port; `raw` is the TCP connection below it. Rejects when the handshake fails. */
export async function tlsConnect(port: number, options: ConnectionOptions): Promise<{ wire: TlsWire; raw: Socket }> {
  const raw = connectSocket({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  const socket = connectTls({ servername: "localhost", ...options, socket: raw });
  const wire = new Wire(socket) as TlsWire;
  await within(
    `a TLS connection to port ${port}`,
    new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("closed during the handshake")));
    }),
  );
  return { wire, raw };
}

/** One request on a TLS connection of its own. */
export async function tlsOnce(port: number, options: ConnectionOptions, bytes: string, read: ReadOptions = {}): Promise<Message> {
  const { wire } = await tlsConnect(port, options);
  try {
    void wire.send(bytes);
    return await wire.expectResponse(read);
  } finally {
    wire.destroy();
  }
}

/** The error with which a handshake fails. */
export async function handshakeError(port: number, options: ConnectionOptions): Promise<NodeJS.ErrnoException> {
  try {
    const { wire } = await tlsConnect(port, options);
    // A TLS 1.3 client has finished before it hears that the server refuses.
    await wire.finished();
    wire.destroy();
    if (wire.error !== null) return wire.error;
  } catch (error) {
    return error as Error;
  }
  throw new Error("the handshake succeeded");
}
