// Who gets which certificate: the one place where that is decided.
//
// Order: the name, what proves it, how often, the request, the single use of a printed token, the signature. A refusal of any of them costs nothing that
// comes later: a printed token is used up only by a request that is good. Every way out is a certificate or a Refusal with its code.

import { decodeJwt } from "jose";
import { TOKEN_ISSUER, TOKEN_LENGTH_MAX } from "../../core/identity/join-token.ts";
import { identityName, isSameIdentity, parseIdentityName } from "../../core/identity/names.ts";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import type { Authority, Issued } from "./authority.ts";
import { checkRequest } from "./csr.ts";
import type { JoinTokens, ProvedToken } from "./join-tokens.ts";
import { checkOffered } from "./peer-proof.ts";
import type { PeerProof } from "./peer-proof.ts";
import { RateLimit } from "./rate-limit.ts";
import { Refusal } from "./refusal.ts";
import type { ServiceAccountTokens } from "./service-account-tokens.ts";
import type { UsedTokens } from "./used-tokens.ts";

/** Requests that are checked and signed at one time: each is a few ms of this process's one core. */
const PENDING_MAX = 256;

export interface CertifyCall {
  readonly identity: string;
  readonly token: Uint8Array;
  /** DER. */
  readonly request: Uint8Array;
  readonly peer: PeerProof;
}

export interface CertifierParts {
  readonly authority: Authority;
  /** The identity component's own; its namespace and trust domain are those that it certifies in. */
  readonly own: WorkloadIdentity;
  readonly joinTokens: JoinTokens;
  readonly usedTokens: UsedTokens;
  /** Null when no issuer of service-account tokens is trusted. */
  readonly serviceAccounts: ServiceAccountTokens | null;
  /** Clocks may differ by so much, seconds. */
  readonly toleranceS: number;
  readonly nowMs?: () => number;
}

/** What a request is proved by. */
type Proof = { readonly identity: WorkloadIdentity; readonly single: ProvedToken | null };

export class Certifier {
  readonly #parts: CertifierParts;
  readonly #nowMs: () => number;
  readonly #rate = new RateLimit();
  #pending = 0;

  constructor(parts: CertifierParts) {
    this.#parts = parts;
    this.#nowMs = parts.nowMs ?? (() => Date.now());
  }

  /** The certificate, or a rejection with a Refusal. */
  async certify(call: CertifyCall): Promise<Issued> {
    if (this.#pending >= PENDING_MAX) throw new Refusal("WEFT_IDENTITY_BUSY", `more than ${PENDING_MAX} requests at a time`);
    this.#pending++;
    try {
      return await this.#certify(call);
    } finally {
      this.#pending--;
    }
  }

  async #certify({ identity: name, token, request, peer }: CertifyCall): Promise<Issued> {
    const { authority, usedTokens } = this.#parts;
    const identity = this.#wanted(name);
    checkOffered(peer, this.#nowMs());
    const proof = token.length > 0 ? await this.#proofOfToken(token) : this.#proofOfPeer(peer);
    if (!isSameIdentity(proof.identity, identity)) {
      throw new Refusal("WEFT_IDENTITY_OTHER_WORKLOAD", `it proves ${identityName(proof.identity)}, not ${name}`);
    }
    if (!this.#rate.take(name)) throw new Refusal("WEFT_IDENTITY_RATE");
    const publicKey = await checkRequest(request, identity);
    if (proof.single !== null) await usedTokens.use(proof.single.jti, proof.single.expiresAtS);
    return await authority.issue(identity, publicKey);
  }

  #wanted(name: string): WorkloadIdentity {
    const { own } = this.#parts;
    const identity = parseIdentityName(name);
    if (identity === null) throw new Refusal("WEFT_IDENTITY_NAME");
    if (identity.trustDomain !== own.trustDomain || identity.controlNamespace !== own.controlNamespace) {
      throw new Refusal("WEFT_IDENTITY_FOREIGN", `this is ${own.controlNamespace} of ${own.trustDomain}`);
    }
    if (isSameIdentity(identity, own)) throw new Refusal("WEFT_IDENTITY_FOREIGN", "nobody but the identity component is called that");
    return identity;
  }

  #proofOfPeer(peer: PeerProof): Proof {
    if (peer.kind !== "certificate") throw new Refusal("WEFT_IDENTITY_NO_PROOF");
    return { identity: peer.identity, single: null };
  }

  async #proofOfToken(bytes: Uint8Array): Promise<Proof> {
    const { joinTokens, serviceAccounts, own, toleranceS } = this.#parts;
    if (bytes.length > TOKEN_LENGTH_MAX) throw new Refusal("WEFT_IDENTITY_TOKEN_MALFORMED", `longer than ${TOKEN_LENGTH_MAX} bytes`);
    const token = Buffer.from(bytes).toString("latin1");
    const issuer = issuerOf(token);
    if (issuer === TOKEN_ISSUER) {
      const proved = await joinTokens.check(token, toleranceS);
      return { identity: proved.identity, single: proved.use === "once" ? proved : null };
    }
    if (serviceAccounts === null || issuer !== serviceAccounts.issuer) throw new Refusal("WEFT_IDENTITY_TOKEN_ISSUER");
    return { identity: await serviceAccounts.check(token, own, toleranceS), single: null };
  }
}

/** Who claims to have issued the token: decides with which keys it is checked, proves nothing. */
function issuerOf(token: string): string {
  try {
    const { iss } = decodeJwt(token);
    if (typeof iss === "string") return iss;
  } catch {
    // Not even the claims can be read.
  }
  throw new Refusal("WEFT_IDENTITY_TOKEN_MALFORMED");
}
