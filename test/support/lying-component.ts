// An identity component that lies: its port, its certificate and its root are what a token pins, and its answers are what a test wants.
//
// Node's HTTP/2 with gRPC framed by hand: no library would send such answers.

import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CertifyRequestSchema, CertifyResponseSchema } from "../../src/api/linkerd/identity_pb.ts";
import { type TrustBundle, TrustBundleSchema } from "../../src/api/weft/identity_pb.ts";
import type { Authority } from "./certificates.ts";

export const COMPONENT_NAME = "identity.weft.serviceaccount.identity.weft.cluster.local";

/** What it answers. Absent: what a good one would, as far as it can without signing. */
export interface Lies {
  readonly bundle?: (good: TrustBundle) => TrustBundle;
  readonly response?: (request: Uint8Array<ArrayBuffer>) => MessageInitShape<typeof CertifyResponseSchema>;
  /** Written instead of a framed message. */
  readonly raw?: Buffer;
  readonly status?: string;
  readonly message?: string;
  readonly httpStatus?: number;
}

export class LyingComponent {
  /** Tokens that it was shown. */
  readonly tokens: string[] = [];
  readonly #server: Http2SecureServer;
  readonly #root: Authority;
  #lies: Lies = {};
  readonly #sessions = new Set<{ destroy(): void }>();

  private constructor(root: Authority) {
    this.#root = root;
    const { cert, key } = root.issue({ names: [COMPONENT_NAME], usages: ["server"] });
    this.#server = createSecureServer({ cert: cert + root.cert, key, minVersion: "TLSv1.3" });
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("error", () => undefined);
    });
    this.#server.on("stream", (stream, headers) => void this.#answer(stream, String(headers[":path"])));
  }

  static async start(root: Authority): Promise<LyingComponent> {
    const component = new LyingComponent(root);
    await new Promise<void>((resolve) => component.#server.listen(0, "127.0.0.1", resolve));
    return component;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  tell(lies: Lies): void {
    this.#lies = lies;
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(stream: ServerHttp2Stream, path: string): Promise<void> {
    stream.on("error", () => undefined);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const request = Buffer.concat(chunks).subarray(5);
    const { status = "0", message = "", httpStatus = 200, raw } = this.#lies;
    if (path.endsWith("/Watch")) {
      stream.respond({ ":status": 200, "content-type": "application/grpc+proto" });
      stream.write(framed(this.#bundle()));
      return;
    }
    this.tokens.push(Buffer.from(fromBinary(CertifyRequestSchema, request).token).toString("ascii"));
    stream.respond({ ":status": httpStatus, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status, ...(message !== "" && { "grpc-message": message }) }));
    stream.end(raw ?? (status === "0" ? framed(this.#response(request)) : undefined));
  }

  #bundle(): Uint8Array {
    const good = create(TrustBundleSchema, { roots: [derOf(this.#root.cert)], version: 3n, issuedAt: timestampFromMs(Date.now()) });
    return toBinary(TrustBundleSchema, this.#lies.bundle?.(good) ?? good);
  }

  #response(message: Uint8Array): Uint8Array {
    const inOneHour = timestampFromMs(Date.now() + 3_600_000);
    const request = new Uint8Array(fromBinary(CertifyRequestSchema, message).certificateSigningRequest);
    const response = create(CertifyResponseSchema, this.#lies.response?.(request) ?? {});
    response.validUntil ??= inOneHour;
    return toBinary(CertifyResponseSchema, response);
  }
}

/** DER of a PEM certificate, the first of them. */
export function derOf(pem: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(/-----BEGIN CERTIFICATE-----([^-]+)/.exec(pem)![1]!, "base64"));
}

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
