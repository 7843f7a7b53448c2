// Dials whatever listens at an address as a peer of the mesh would, and takes what it shows of itself: TLS 1.3, the name by SNI, ALPN.
//
// No certificate of our own is needed: in TLS 1.3 the server's comes before it can refuse ours. Nothing of what is shown is believed here; what it is
// worth is told by a second handshake against the given roots, by the same rules by which a proxy judges a peer (core/identity/peer-check.ts).
// Nothing is ever sent within the connection.

import type { X509Certificate } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type { HostPort } from "../config/snapshot.ts";
import { checkPeer, type ExpectedPeer, identityMismatch } from "../core/identity/peer-check.ts";
import { type EvidenceSource, peerEvidence } from "../workers/peer-evidence.ts";

/** For the TCP handshake, and again for TLS: a proxy answers within milliseconds. */
const CONNECT_MS = 5_000;
const HANDSHAKE_MS = 5_000;

/** Certificates of a chain that are looked at; a mesh's has three. */
const CHAIN_MAX = 8;

/** A certificate may change between the two handshakes. */
const LOOKS_MAX = 3;

/** What two proxies speak within; a server that has another list refuses it, and is asked without one. */
const ALPN = ["h2"];

/** Why nothing was shown, in words that say what to do. */
export class DialProblem extends Error {
  override readonly name = "DialProblem";
  /** It may be a matter of the name that was asked for. */
  readonly isAboutName: boolean;

  constructor(message: string, isAboutName = false) {
    super(message);
    this.isAboutName = isAboutName;
  }
}

export interface Shown {
  /** In the order in which they were sent, the leaf first. Never empty. */
  readonly chain: readonly X509Certificate[];
  readonly protocol: string;
  readonly cipher: string;
  /** Negotiated by ALPN; null: nothing. */
  readonly alpn: string | null;
}

/** What was shown is good, or why not. */
export type Verdict = { readonly isTrusted: true } | { readonly isTrusted: false; readonly reason: string };

/** What is shown at the address to whoever asks for `name` (null: for nobody by name). Rejects with a DialProblem. */
export async function dialShown(address: HostPort, name: string | null): Promise<Shown> {
  return await handshake(address, name, [], (socket) => {
    const chain: X509Certificate[] = [];
    let next = socket.getPeerX509Certificate();
    while (next !== undefined && chain.length < CHAIN_MAX) {
      chain.push(next);
      next = next.issuerCertificate;
    }
    if (chain.length === 0) throw new DialProblem("it shows no certificate");
    const { alpnProtocol } = socket;
    const alpn = typeof alpnProtocol === "string" && alpnProtocol !== "" ? alpnProtocol : null;
    return { chain, protocol: socket.getProtocol() ?? "", cipher: socket.getCipher().standardName, alpn };
  });
}

/** What is shown, and what a proxy that trusts these roots (PEM) would say of it. `expected`: who must be there; null: anybody of the mesh. */
export async function dialVerified(
  address: HostPort,
  name: string | null,
  roots: readonly string[],
  expected: ExpectedPeer | null,
): Promise<{ readonly shown: Shown; readonly verdict: Verdict }> {
  for (let look = 1; ; look++) {
    const shown = await dialShown(address, name);
    const { fingerprint, verdict } = await handshake(address, name, roots, (socket) => judge(socket, expected));
    if (fingerprint === shown.chain[0]!.fingerprint256 || look === LOOKS_MAX) return { shown, verdict };
  }
}

function judge(socket: TLSSocket, expected: ExpectedPeer | null): { readonly fingerprint: string; readonly verdict: Verdict } {
  // Asked once: Node takes the chain apart for its answer, and has none at the second time.
  const leaf = socket.getPeerX509Certificate();
  const fingerprint = leaf?.fingerprint256 ?? "";
  const evidence = peerEvidence({ getPeerX509Certificate: () => leaf, _handle: (socket as unknown as EvidenceSource)._handle });
  if (evidence === null) return { fingerprint, verdict: { isTrusted: false, reason: "it shows no certificate" } };
  const verdict = checkPeer("server", evidence, expected?.identity.controlNamespace);
  if ("code" in verdict) return { fingerprint, verdict: { isTrusted: false, reason: `[${verdict.code}] ${verdict.detail}` } };
  const mismatch = expected === null ? null : identityMismatch(expected, verdict.identity);
  if (mismatch !== null) return { fingerprint, verdict: { isTrusted: false, reason: `[WEFT_PEER_OTHER_IDENTITY] ${mismatch}` } };
  return { fingerprint, verdict: { isTrusted: true } };
}

/** One connection, closed when `read` has looked at its finished handshake. */
async function handshake<T>(
  address: HostPort,
  name: string | null,
  roots: readonly string[],
  read: (socket: TLSSocket) => T,
  alpn: readonly string[] = ALPN,
): Promise<T> {
  const options: ConnectionOptions = {
    socket: await reach(address),
    // Empty, not absent: absent means the roots of the web.
    ca: [...roots],
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(name !== null && { servername: name }),
    ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
  };
  try {
    return await secured(options, read);
  } catch (error) {
    if (alpn.length > 0 && codeOf(error).endsWith("ALERT_NO_APPLICATION_PROTOCOL")) return await handshake(address, name, roots, read, []);
    throw error instanceof DialProblem ? error : tlsProblem(error as Error);
  }
}

async function reach({ host, port }: HostPort): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port, timeout: CONNECT_MS });
    const fail = (text: string): void => {
      socket.destroy();
      reject(new DialProblem(`it cannot be reached: ${text}`));
    };
    socket.once("error", (error) => fail(error.message || codeOf(error)));
    socket.once("timeout", () => fail(`no answer within ${CONNECT_MS / 1000} s`));
    socket.once("connect", () => {
      socket.setTimeout(0);
      socket.removeAllListeners("error").removeAllListeners("timeout");
      resolve(socket);
    });
  });
}

async function secured<T>(options: ConnectionOptions, read: (socket: TLSSocket) => T): Promise<T> {
  return await new Promise((resolve, reject) => {
    const socket = connectTls(options);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new DialProblem(SILENT))), HANDSHAKE_MS);
    // Stays: what is said after the handshake (that ours was missing, for example) is of no interest.
    socket.on("error", (error) => end(() => reject(error)));
    socket.once("close", () => end(() => reject(new DialProblem(CLOSED, true))));
    socket.once("secureConnect", () => {
      // While the connection is there: what it shows goes with it.
      try {
        const value = read(socket);
        end(() => resolve(value));
      } catch (error) {
        end(() => reject(error));
      }
    });
  });
}

const SILENT = `it accepts connections and begins no TLS within ${HANDSHAKE_MS / 1000} s: a proxy that waits for its first certificate does so, and a service that is none`;
const CLOSED =
  "it closes the connection in the handshake: a proxy passes TLS on to its service when it is asked for another name than its own";

function tlsProblem(error: Error): DialProblem {
  const code = codeOf(error);
  const reason = (error as { reason?: string }).reason ?? error.message;
  if (/ALERT_PROTOCOL_VERSION$|_UNSUPPORTED_PROTOCOL$/.test(code))
    return new DialProblem("it speaks TLS, but not TLS 1.3: it is no proxy of a mesh", true);
  if (code.endsWith("ALERT_HANDSHAKE_FAILURE")) return new DialProblem(`it has no certificate for TLS 1.3 (${reason})`, true);
  if (code.endsWith("UNRECOGNIZED_NAME")) return new DialProblem("it has no certificate of that name", true);
  if (code.includes("_ALERT_")) return new DialProblem(`it refuses the handshake (${reason})`, true);
  if (/^(?:ECONNRESET|EPIPE)$/.test(code)) return new DialProblem(CLOSED, true);
  return new DialProblem(
    `what it answers is no TLS (${reason}): plain text, so it is no proxy of a mesh, or one that passes this on to its service`,
    true,
  );
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
