// node:tls and what goes with it, loaded when the first context is made: a proxy without TLS does not pay for it (1.6 MB).

/** OpenSSL's flag, where node:crypto does not name it. */
const NO_RENEGOTIATION = 0x4000_0000;

export interface TlsBuiltins {
  readonly tls: typeof import("node:tls");
  readonly net: typeof import("node:net");
  /** SSL_OP_NO_RENEGOTIATION. */
  readonly noRenegotiation: number;
}

let builtins: TlsBuiltins | null = null;

/** Called in the middle of an update, which cannot wait for an import. */
export function loadTls(): TlsBuiltins {
  if (builtins === null) {
    const constants = process.getBuiltinModule("node:crypto").constants as { readonly SSL_OP_NO_RENEGOTIATION?: number };
    builtins = {
      tls: process.getBuiltinModule("node:tls"),
      net: process.getBuiltinModule("node:net"),
      noRenegotiation: constants.SSL_OP_NO_RENEGOTIATION ?? NO_RENEGOTIATION,
    };
  }
  return builtins;
}
