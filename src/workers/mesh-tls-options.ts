// What mesh TLS is made of, for both of its sides: TLS 1.3, Linkerd's ciphers and groups (linkerd.md 7.5), no tickets, no renegotiation.
//
// Tickets are off because a ticket carries an identity past its certificate's end and past a root that was dropped, and proxies keep
// their connections anyway (ADR 0007). The security level makes OpenSSL refuse weak keys and signatures anywhere in a chain.

import type { SecureContextOptions } from "node:tls";
import type { MeshIdentity } from "../config/snapshot.ts";
import type { TlsBuiltins } from "./tls-builtins.ts";

/** Level 2: 112 bits. Node takes it only beside a cipher of TLS 1.2, which minVersion rules out. */
const CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=2";

/** Best first. The hybrid with ML-KEM exists since OpenSSL 3.5. */
const GROUPS = ["X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384"];

/** OpenSSL's SSL_OP_NO_TICKET. */
const NO_TICKET = 0x4000;

let groups: string | null = null;

/** The groups that this Node has. */
function groupsOf({ tls }: TlsBuiltins): string {
  groups ??=
    GROUPS.find((candidate) => {
      try {
        tls.createSecureContext({ ecdhCurve: candidate });
        return true;
      } catch {
        return false;
      }
    }) ?? "auto";
  return groups;
}

/** Options of a secure context for this identity. */
export function meshContextOptions(builtins: TlsBuiltins, identity: MeshIdentity): SecureContextOptions {
  return {
    cert: identity.cert,
    key: identity.key,
    ca: identity.trust,
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    ciphers: CIPHERS,
    ecdhCurve: groupsOf(builtins),
    secureOptions: NO_TICKET | builtins.noRenegotiation,
  };
}
