// The mesh identity of one thread: contexts for both sides of mesh TLS, and what is counted about their handshakes.
//
// An identity that changes makes new contexts: handshakes from then on use them, connections that are open keep what they have, handshakes
// under way end under the old ones. An identity that OpenSSL does not take leaves the one before it where it was.

import type { MeshIdentity } from "../config/snapshot.ts";
import { DEFAULT_CONTROL_NAMESPACE, parseIdentityName } from "../core/identity/names.ts";
import { type ErrorCode, ERRORS } from "../core/errors/error-codes.ts";
import { TRANSPORT_ALPN } from "../core/tcp/transport-header.ts";
import type { Recorder } from "../core/telemetry/recorder.ts";
import type { Log, LogFields } from "./forwarder-types.ts";
import { MeshClient } from "./mesh-client.ts";
import type { PolicyLog } from "./policy-log.ts";
import { TlsContext } from "./tls-context.ts";

/** How handshakes of the mesh end. `refused`: TLS was well, the peer was not. */
export type MeshHandshakeResult = "full" | "failed" | "timeout" | "refused" | "too_many";

/** What two proxies of ours speak within. */
export const WEFT_ALPN: readonly string[] = ["h2"];

interface Contexts {
  readonly identity: MeshIdentity;
  readonly controlNamespace: string;
  /** At all listeners: HTTP/2, a transport header, and a client that negotiates neither speaks the listener's protocol, whatever that is. */
  readonly server: TlsContext;
  readonly client: MeshClient;
}

export class MeshTls {
  readonly #recorder: Recorder;
  readonly #log: Log;
  readonly #refusals: PolicyLog;
  readonly #slots = new Map<string, number>();
  #contexts: Contexts | null = null;
  /** Contexts that were replaced while handshakes were under way in them. */
  #leaving: TlsContext[] = [];

  /** `refusals`: where refused peers are noted, a line for each in ten seconds at most. */
  constructor(recorder: Recorder, log: Log, refusals: PolicyLog) {
    this.#recorder = recorder;
    this.#log = log;
    this.#refusals = refusals;
  }

  /** Who this proxy is from now on. */
  update(identity: MeshIdentity): void {
    const before = this.#contexts;
    try {
      this.#contexts = {
        identity,
        controlNamespace: parseIdentityName(identity.name)?.controlNamespace ?? DEFAULT_CONTROL_NAMESPACE,
        server: TlsContext.forMesh(identity, [...WEFT_ALPN, TRANSPORT_ALPN]),
        client: new MeshClient(identity),
      };
    } catch (error) {
      this.#log("error", "the proxy's identity cannot be used", { identity: identity.name, error: (error as Error).message });
      return;
    }
    this.#leaving = this.#leaving.filter((context) => context.inProgress > 0);
    if (before !== null) this.#leaving.push(before.server);
  }

  /** The name by which peers ask for this proxy; null: it has no identity yet. */
  get name(): string | null {
    return this.#contexts?.identity.name ?? null;
  }

  /** Of this proxy; that of peers whose certificates do not say. */
  get controlNamespace(): string {
    return this.#contexts?.controlNamespace ?? DEFAULT_CONTROL_NAMESPACE;
  }

  /** For connections to other proxies; null: this one has no identity yet. */
  get client(): MeshClient | null {
    return this.#contexts?.client ?? null;
  }

  /** For clients' connections. Only with a name. */
  get server(): TlsContext {
    return this.#contexts!.server;
  }

  /** Handshakes of clients under way in this thread. */
  get inProgress(): number {
    let count = 0;
    if (this.#contexts !== null) count += this.#contexts.server.inProgress;
    for (const context of this.#leaving) count += context.inProgress;
    return count;
  }

  /** A client is not let in: counted and logged by the reason. */
  refusedClient(direction: string, code: ErrorCode, client: string, fields: LogFields): void {
    this.count(direction, "refused", ERRORS[code].label);
    this.noteClient(code, client, fields);
  }

  /** What a client did wrong, for the log. */
  noteClient(code: ErrorCode, client: string, fields: LogFields): void {
    this.#refusals.note(`[${code}] ${ERRORS[code].cause}`, client, fields);
  }

  /** An endpoint is not spoken to: counted and logged by the reason. */
  refusedServer(code: ErrorCode, address: string, fields: LogFields): void {
    const { label, cause } = ERRORS[code];
    this.count("outbound", "refused", label);
    this.#refusals.note(`[${code}] ${cause}`, address, fields, "endpoint");
  }

  /** A handshake with an endpoint came to nothing, or it closed before it said anything. */
  failed(address: string, identity: string, detail: string, code: "WEFT_MESH_HANDSHAKE" | "WEFT_MESH_PLAIN" = "WEFT_MESH_HANDSHAKE"): void {
    const { label, cause } = ERRORS[code];
    this.count("outbound", "failed", label);
    this.#refusals.note(`[${code}] ${cause}`, address, { identity, detail }, "endpoint");
  }

  /** Another proxy answered in its application's place. */
  noteAnswer(address: string, fields: LogFields): void {
    this.#refusals.note("another proxy of the mesh answered in its application's place", address, fields, "endpoint");
  }

  /** Nobody answers at an endpoint that was spoken to. */
  noteSilent(address: string, identity: string): void {
    this.#refusals.note(`[WEFT_MESH_SILENT] ${ERRORS.WEFT_MESH_SILENT.cause}`, address, { identity }, "endpoint");
  }

  /** @param error label of the reason, "" for none */
  count(direction: string, result: MeshHandshakeResult, error: string): void {
    const key = `${direction} ${result} ${error}`;
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#recorder.counter("mesh_tls_handshakes_total", { direction, result, error });
      this.#slots.set(key, slot);
    }
    this.#recorder.slots[slot]! += 1;
  }
}
