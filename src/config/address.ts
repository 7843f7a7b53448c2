// `HOST:PORT` as people write it, checked, with the likely intent where it is wrong.
//
// IPv6 addresses stand in brackets. Addresses come out canonical (IPv4-mapped ones as IPv4), names in lower case, so that
// equal places are equal text.

import { normalizeHostName, parsePort } from "../core/route/authority.ts";
import { isWildcard, parseIp, parseIpv6 } from "../core/route/ip-literal.ts";
import type { HostPort } from "./snapshot.ts";

/** `listen`: an address, port 0 means any free one. `address`: where to connect. `name`: for DNS. `target`: either of the last two. */
export type AddressUse = "listen" | "address" | "name" | "target";

export interface AddressMistake {
  /** Continues "spec.x is "text": ...". */
  readonly message: string;
  readonly hint: string | null;
}

export type AddressResult = { readonly ok: HostPort } | { readonly mistake: AddressMistake };

/** `ip:port`, `[ip6]:port` or `name:port`. */
export function formatHostPort(address: HostPort): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Reads `HOST:PORT` for a use. `portMeant`: what a text without a port is told that it perhaps meant. */
export function parseHostPort(text: string, use: AddressUse, portMeant: number = examplePort(use)): AddressResult {
  const split = splitHostPort(text, use, portMeant);
  if ("mistake" in split) return split;
  const { host, portText, isBracketed } = split;
  const port = parsePort(portText);
  if (port === null) return mistake(`port ${JSON.stringify(portText)} is not a number from ${portMin(use)} to 65535`, null);
  if (port < portMin(use)) return mistake("port 0 cannot be connected to", null);
  const ip = isBracketed ? parseIpv6(host) : parseIp(host);
  if (ip !== null) return checkIp(ip, port, use);
  if (isBracketed) return mistake(`[${host}] is no IPv6 address`, host.includes("%") ? "zones are not supported" : null);
  return checkName(host, port, use);
}

type Split = { host: string; portText: string; isBracketed: boolean } | { mistake: AddressMistake };

function splitHostPort(text: string, use: AddressUse, portMeant: number): Split {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/([^/]*)/i.exec(text);
  if (scheme !== null) return mistake("it is a URL", `did you mean ${scheme[2] ?? ""}?`);
  const bracket = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracket !== null) {
    if (bracket[2] === undefined) return mistake("it has no port", `did you mean ${text}:${portMeant}?`);
    return { host: bracket[1] ?? "", portText: bracket[2], isBracketed: true };
  }
  const colon = text.lastIndexOf(":");
  if (colon < 0) return withoutColon(text, use, portMeant);
  const host = text.slice(0, colon);
  const portText = text.slice(colon + 1);
  if (host === "") return mistake("it has no host", `did you mean ${exampleHost(use)}:${portText}?`);
  if (host.includes(":")) {
    const whole = parseIpv6(text);
    if (parseIpv6(host) !== null) return mistake("an IPv6 address stands in brackets", `did you mean [${host}]:${portText}?`);
    return mistake("it is not HOST:PORT", whole === null ? null : `did you mean [${whole}]:${portMeant}?`);
  }
  return { host, portText, isBracketed: false };
}

function withoutColon(text: string, use: AddressUse, portMeant: number): Split {
  if (text === "") return mistake("it is empty", `expected HOST:PORT such as ${exampleHost(use)}:${portMeant}`);
  if (parsePort(text) !== null) return mistake("it has no host", `did you mean ${exampleHost(use)}:${text}?`);
  return mistake("it has no port", `did you mean ${text}:${portMeant}?`);
}

function checkIp(ip: string, port: number, use: AddressUse): AddressResult {
  if (use === "name") return mistake("it is an address, not a name", `did you mean address: ${formatHostPort({ host: ip, port })}?`);
  if (use !== "listen" && isWildcard(ip)) {
    const loopback = ip === "::" ? "::1" : "127.0.0.1";
    return mistake("no one can connect to the address of all interfaces", `did you mean ${formatHostPort({ host: loopback, port })}?`);
  }
  return { ok: { host: ip, port } };
}

function checkName(host: string, port: number, use: AddressUse): AddressResult {
  const name = normalizeHostName(host);
  if (name === null) {
    const isNumeric = /^[0-9.]+$/.test(host);
    return mistake(isNumeric ? `${host} is no IPv4 address` : `${JSON.stringify(host)} is no host name`, null);
  }
  // The trailing dot stays: it tells the resolver not to try its search domains.
  const text = `${name}${host.endsWith(".") ? "." : ""}`;
  if (use === "name" || use === "target") return { ok: { host: text, port } };
  if (use === "address") return mistake("it is a name, not an address", `did you mean dns: ${text}:${port}?`);
  return mistake("it is a name, not an address", `did you mean ${name === "localhost" ? "127.0.0.1" : "0.0.0.0"}:${port}?`);
}

function mistake(message: string, hint: string | null): { mistake: AddressMistake } {
  return { mistake: { message, hint } };
}

function portMin(use: AddressUse): number {
  return use === "listen" ? 0 : 1;
}

function exampleHost(use: AddressUse): string {
  return use === "name" ? "web" : "127.0.0.1";
}

function examplePort(use: AddressUse): number {
  return use === "listen" ? 4140 : 8080;
}
