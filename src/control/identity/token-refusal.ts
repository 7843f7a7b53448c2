// From an error of the JWT library to a refusal. The library's texts are not passed on: some repeat parts of a token.

import { errors } from "jose";
import { Refusal } from "./refusal.ts";

/** The refusal for whatever jwtVerify rejected with. */
export function tokenRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof errors.JWTExpired) return new Refusal("WEFT_IDENTITY_TOKEN_EXPIRED");
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported)
    return new Refusal("WEFT_IDENTITY_TOKEN_ALGORITHM");
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return new Refusal("WEFT_IDENTITY_TOKEN_SIGNATURE");
  }
  if (error instanceof errors.JWTClaimValidationFailed) return claimRefusal(error.claim, error.reason);
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return new Refusal("WEFT_IDENTITY_TOKEN_MALFORMED");
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error instanceof errors.JWKInvalid) {
    return new Refusal("WEFT_IDENTITY_TOKEN_KEYS");
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return new Refusal("WEFT_IDENTITY_TOKEN_SIGNATURE", "several keys could have signed it; it has no kid");
  if (error instanceof errors.JOSEError) return new Refusal("WEFT_IDENTITY_TOKEN_KEYS");
  // What fetch throws (network, TLS) when keys are fetched.
  return new Refusal(error instanceof TypeError ? "WEFT_IDENTITY_TOKEN_KEYS" : "WEFT_IDENTITY_TOKEN_MALFORMED");
}

function claimRefusal(claim: string, reason: string): Refusal {
  // A claim that is missing is what a malformed token lacks; one that has another value is for another.
  if (claim === "aud") return new Refusal("WEFT_IDENTITY_TOKEN_AUDIENCE");
  if (claim === "iss") return new Refusal("WEFT_IDENTITY_TOKEN_ISSUER");
  if (claim === "nbf" && reason === "check_failed") return new Refusal("WEFT_IDENTITY_TOKEN_EARLY");
  return new Refusal("WEFT_IDENTITY_TOKEN_MALFORMED", `claim ${claim}`);
}
