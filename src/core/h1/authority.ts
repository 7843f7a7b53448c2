// Checks `host [":" port]` as Host and request targets carry it (RFC 9110 section 7.2, RFC 3986 section 3.2).
//
// Refuses: an empty host, userinfo, lists, white space, broken percent-encoding, IPv6 addresses that are none, zone ids,
// IPvFuture, ports above 65535 or of more than five digits. One host, one port, nothing that two parsers could read in two ways.

import { COLON, DIGIT_0, DIGIT_9, DOT, LEFT_BRACKET, PERCENT, RIGHT_BRACKET } from "../bytes/ascii.ts";
import { HEX_VALUES, HOST_CHARS } from "./tables.ts";

const PORT_DIGITS_MAX = 5;
const PORT_MAX = 65535;

/** Result of `scanAuthority` for a host without a port, or with an empty one (`host:`). */
export const NO_PORT = -1;
/** Result of `scanAuthority` for anything that is refused. */
export const BAD_AUTHORITY = -2;

/** Reads [start, end) as host and optional port. Returns the port 0 to 65535, `NO_PORT` or `BAD_AUTHORITY`. */
export function scanAuthority(buf: Uint8Array, start: number, end: number): number {
  let p = start;
  if (start < end && buf[start] === LEFT_BRACKET) {
    p = scanIpv6(buf, start + 1, end);
    if (p < 0) return BAD_AUTHORITY;
  } else {
    while (p < end) {
      const byte = buf[p]!;
      if (HOST_CHARS[byte] !== 0) p++;
      else if (byte === PERCENT && p + 2 < end && HEX_VALUES[buf[p + 1]!]! < 16 && HEX_VALUES[buf[p + 2]!]! < 16) p += 3;
      else break;
    }
    if (p === start) return BAD_AUTHORITY;
  }
  if (p === end) return NO_PORT;
  if (buf[p] !== COLON) return BAD_AUTHORITY;
  return scanPort(buf, p + 1, end);
}

function scanPort(buf: Uint8Array, start: number, end: number): number {
  if (start === end) return NO_PORT;
  if (end - start > PORT_DIGITS_MAX) return BAD_AUTHORITY;
  let port = 0;
  for (let p = start; p < end; p++) {
    const byte = buf[p]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) return BAD_AUTHORITY;
    port = port * 10 + (byte - DIGIT_0);
  }
  return port <= PORT_MAX ? port : BAD_AUTHORITY;
}

/** Reads an IPv6 address up to and including `]`; returns the position behind it, -1 if it is none. */
function scanIpv6(buf: Uint8Array, start: number, end: number): number {
  let p = start;
  let groups = 0;
  let hasGap = false;
  if (p + 1 < end && buf[p] === COLON && buf[p + 1] === COLON) {
    hasGap = true;
    p += 2;
  }
  while (p < end && buf[p] !== RIGHT_BRACKET) {
    const group = p;
    while (p < end && p - group < 5 && HEX_VALUES[buf[p]!]! < 16) p++;
    if (p === group || p - group > 4 || p === end) return -1;
    if (buf[p] === DOT) {
      p = scanIpv4(buf, group, end);
      groups += 2;
      if (p < 0 || buf[p] !== RIGHT_BRACKET) return -1;
      break;
    }
    groups++;
    if (buf[p] === RIGHT_BRACKET) break;
    if (buf[p] !== COLON) return -1;
    p++;
    if (p < end && buf[p] === COLON) {
      if (hasGap) return -1;
      hasGap = true;
      p++;
    } else if (p === end || buf[p] === RIGHT_BRACKET) return -1;
  }
  if (p >= end || (hasGap ? groups > 7 : groups !== 8)) return -1;
  return p + 1;
}

/** Reads a dotted quad; returns the position behind it, which lies before `end`, or -1. */
function scanIpv4(buf: Uint8Array, start: number, end: number): number {
  let p = start;
  for (let part = 0; part < 4; part++) {
    if (part > 0) {
      if (p >= end || buf[p] !== DOT) return -1;
      p++;
    }
    const first = p;
    let value = 0;
    while (p < end && p - first < 3 && buf[p]! >= DIGIT_0 && buf[p]! <= DIGIT_9) value = value * 10 + (buf[p++]! - DIGIT_0);
    if (p === first || value > 255 || (p - first > 1 && buf[first] === DIGIT_0)) return -1;
  }
  return p < end ? p : -1;
}
