// A refusal with its code. Thrown by whatever checks a request; the gRPC server makes an answer, a count and a log line of it.

import { IDENTITY_ERRORS } from "../../core/errors/identity-errors.ts";
import type { IdentityErrorCode } from "../../core/errors/identity-errors.ts";

/** Characters of a detail: names that a client sent are in some, and they end up in a header field and a log line. */
const DETAIL_LENGTH_MAX = 400;

export class Refusal extends Error {
  readonly code: IdentityErrorCode;

  /** `detail`: what exactly, for people; never any part of a token. */
  constructor(code: IdentityErrorCode, detail?: string) {
    super(`[${code}] ${IDENTITY_ERRORS[code].cause}${detail === undefined ? "" : ` (${detail.slice(0, DETAIL_LENGTH_MAX)})`}`);
    this.name = "Refusal";
    this.code = code;
  }
}
