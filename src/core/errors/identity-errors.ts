// The one table of why the identity component refuses: code, gRPC status, cause. docs/errors.md is checked against it by a test.
//
// The status follows Linkerd's identity service, so that its proxies do the right thing. A refusal's message begins with the
// code in brackets; it never repeats a token, nor any part of one.

/** The gRPC statuses that a refusal may have. */
type IdentityStatus = "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "RESOURCE_EXHAUSTED" | "UNAVAILABLE" | "INTERNAL";

export interface IdentityErrorRow {
  readonly status: IdentityStatus;
  /** What happened, in one sentence, and what to do about it. */
  readonly cause: string;
}

export const IDENTITY_ERRORS = {
  // What is asked for.
  WEFT_IDENTITY_NAME: { status: "INVALID_ARGUMENT", cause: "The identity asked for is missing or no workload's name." },
  WEFT_IDENTITY_FOREIGN: {
    status: "FAILED_PRECONDITION",
    cause: "The identity asked for belongs to another trust domain or control namespace, or is the identity component's own.",
  },
  WEFT_IDENTITY_NO_PROOF: {
    status: "FAILED_PRECONDITION",
    cause: "There is neither a token nor a client certificate; a first certificate needs a join token, a renewal the current certificate.",
  },
  WEFT_IDENTITY_OTHER_WORKLOAD: {
    status: "FAILED_PRECONDITION",
    cause: "The token or the certificate proves another identity than the one asked for.",
  },

  // Client certificates.
  WEFT_IDENTITY_CERTIFICATE: {
    status: "FAILED_PRECONDITION",
    cause:
      "The client certificate that was offered does not verify against the trust bundle, may not be used by a client, or holds no single identity.",
  },
  WEFT_IDENTITY_CERTIFICATE_EXPIRED: {
    status: "FAILED_PRECONDITION",
    cause: "The client certificate that was offered has expired or is not valid yet; check both clocks, else join with a new token.",
  },

  // Tokens.
  WEFT_IDENTITY_TOKEN_MALFORMED: { status: "INVALID_ARGUMENT", cause: "The token is no JWT, too long, or lacks a claim." },
  WEFT_IDENTITY_TOKEN_ALGORITHM: { status: "INVALID_ARGUMENT", cause: "The token is not signed, or by an algorithm that is not allowed." },
  WEFT_IDENTITY_TOKEN_SIGNATURE: {
    status: "INVALID_ARGUMENT",
    cause: "The token's signature is wrong, or its key is unknown here: altered, or another mesh's.",
  },
  WEFT_IDENTITY_TOKEN_ISSUER: { status: "INVALID_ARGUMENT", cause: "The token was issued by nobody who is trusted here." },
  WEFT_IDENTITY_TOKEN_AUDIENCE: { status: "INVALID_ARGUMENT", cause: "The token is for another audience." },
  WEFT_IDENTITY_TOKEN_DOMAIN: { status: "INVALID_ARGUMENT", cause: "The token is for another trust domain." },
  WEFT_IDENTITY_TOKEN_SUBJECT: { status: "INVALID_ARGUMENT", cause: "The token's subject is no workload." },
  WEFT_IDENTITY_TOKEN_EXPIRED: { status: "INVALID_ARGUMENT", cause: "The token has expired; make a new one, or check both clocks." },
  WEFT_IDENTITY_TOKEN_EARLY: { status: "INVALID_ARGUMENT", cause: "The token is not valid yet; check both clocks." },
  WEFT_IDENTITY_TOKEN_USED: {
    status: "INVALID_ARGUMENT",
    cause: "The token was good for one first certificate and has been used; make a new one, or a token for a file.",
  },
  WEFT_IDENTITY_TOKEN_KEYS: {
    status: "UNAVAILABLE",
    cause: "The keys of the tokens' issuer cannot be read now; the component's log says why.",
  },

  // Certificate requests.
  WEFT_IDENTITY_CSR_MALFORMED: {
    status: "INVALID_ARGUMENT",
    cause: "The certificate request is missing, too large, or no PKCS #10 in DER.",
  },
  WEFT_IDENTITY_CSR_SIGNATURE: {
    status: "FAILED_PRECONDITION",
    cause: "The certificate request is not signed by its own key, or with a hash that is not allowed.",
  },
  WEFT_IDENTITY_CSR_KEY: {
    status: "FAILED_PRECONDITION",
    cause: "The request's key is none of ECDSA P-256, ECDSA P-384, RSA with 2048 to 4096 bits.",
  },
  WEFT_IDENTITY_CSR_NAME: {
    status: "FAILED_PRECONDITION",
    cause:
      "The names in the request are not exactly the identity asked for: one DNS name, at most its SPIFFE URI beside it, at most a common name that is the same.",
  },
  WEFT_IDENTITY_CSR_EXTENSION: {
    status: "FAILED_PRECONDITION",
    cause: "The request asks to be an authority, or names an extension twice.",
  },

  // The component itself.
  WEFT_IDENTITY_RATE: {
    status: "RESOURCE_EXHAUSTED",
    cause: "This identity asked for too many certificates in a short time; try again later.",
  },
  WEFT_IDENTITY_BUSY: { status: "RESOURCE_EXHAUSTED", cause: "A table or queue of the identity component is full; try again later." },
  WEFT_IDENTITY_NOT_READY: { status: "UNAVAILABLE", cause: "There is no valid issuer now; the component's log says why." },
  WEFT_IDENTITY_INTERNAL: { status: "INTERNAL", cause: "A bug in the identity component, or its disk fails; the log says more." },
} as const satisfies Record<string, IdentityErrorRow>;

export type IdentityErrorCode = keyof typeof IDENTITY_ERRORS;
