// Why there is no new certificate: a closed list of reasons, which are a metric's label, with a sentence for people.
//
// No message ever holds a token or a key, not even one that the identity component repeats.

export const FAILURE_REASONS = [
  /** The token is missing, cannot be read or is none; or it is for somebody else. */
  "token",
  /** Nobody answers at the address, or not in time. */
  "unreachable",
  /** Who answers is not the identity component that the token, or the roots, say. */
  "untrusted",
  /** It answers, and has no certificate to give now. */
  "unavailable",
  /** It answers no. */
  "refused",
  /** What it answered is not what was asked for. */
  "answer",
  /** The folder of `spec.identity.keep`. */
  "keep",
  /** Something of Weft's own. */
  "internal",
] as const;

export type FailureReason = (typeof FAILURE_REASONS)[number];

/** Plain data: it crosses threads. */
export interface IdentityFailure {
  readonly reason: FailureReason;
  readonly message: string;
}

/** Characters of a message that came from outside. */
const MESSAGE_LENGTH_MAX = 300;

export class IdentityError extends Error {
  readonly reason: FailureReason;

  constructor(reason: FailureReason, message: string) {
    super(message);
    this.name = "IdentityError";
    this.reason = reason;
  }
}

/** Any error as a failure; what nobody foresaw is `internal`. */
export function failureOf(error: unknown): IdentityFailure {
  if (error instanceof IdentityError) return { reason: error.reason, message: error.message };
  return { reason: "internal", message: foreignText(error instanceof Error ? error.message : String(error)) };
}

/** What begins like a JWT: base64url of `{"`, and its parts. */
const JWT = /eyJ[\w-]*(?:\.[\w-]*)*/g;

/** A text from outside as a message may hold it: one line, cut, without tokens that it may repeat. */
export function foreignText(text: string): string {
  const line = text.replace(JWT, "[token]").replace(/[^\x20-\x7e]+/g, " ");
  return line.length > MESSAGE_LENGTH_MAX ? `${line.slice(0, MESSAGE_LENGTH_MAX)}...` : line;
}
