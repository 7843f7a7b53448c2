// Ports of a compose service, as `ports`, `expose` and labels write them: numbers, ranges, protocols, and `${VARIABLES}`, which stay as they are.
//
// A port is text: a number, or an expression of compose's that will be one (`${PORT:-8080}`); compose puts it into the sidecar's configuration as it does
// into the service's own ports. What is not TCP is none of ours.

import { isMap, isSeq } from "yaml";
import { valueAt } from "../tree.ts";
import { textOf } from "../yaml-source.ts";

/** Ports that one range may have: a service with more listens to anything, and cannot be balanced port by port. */
const RANGE_MAX = 256;

export interface FoundPorts {
  /** Numbers and expressions, each once, in the order in which they were found. */
  readonly ports: readonly string[];
  /** What is no port, or too much, as it was written. */
  readonly unread: readonly string[];
  /** True when some of it is UDP or the like. */
  readonly hasOther: boolean;
}

/** One part of `a:b:c`: no colon, but for those within `${...}`. */
const PART = /(?:\$\{[^}]*\}|[^:])+|(?<=:)(?=:|$)|^(?=:)/g;
const NUMBER = /^[0-9]{1,5}$/;
/** With a default that is a number, or none: `${MAPPING:-8080:80}` is more than a port. */
const EXPRESSION = /^\$(?:\{[A-Za-z_][A-Za-z0-9_]*(?::?-[0-9]{1,5}|:?\?[^{}]*)?\}|[A-Za-z_][A-Za-z0-9_]*)$/;
const DEFAULT = /^\$\{[A-Za-z_][A-Za-z0-9_]*:?-([0-9]{1,5})\}$/;

/** The ports that a service listens on, by its `expose` and the inner side of its `ports`. */
export function portsOf(service: unknown): FoundPorts {
  const found: string[] = [];
  const unread: string[] = [];
  let hasOther = false;
  const add = (text: string, written: string): void => {
    const [port, protocol = "tcp"] = splitProtocol(text);
    if (protocol.toLowerCase() !== "tcp") hasOther = true;
    else {
      const ports = expandRange(port);
      if (ports === null) unread.push(written);
      else found.push(...ports);
    }
  };
  for (const item of itemsOf(valueAt(service, "ports"))) {
    const text = textOf(item);
    // Alone and without a default, a variable may be a whole mapping.
    if (text !== null && EXPRESSION.test(text) && numberOf(text) === null) unread.push(text);
    else if (text !== null) add(innerSide(text), text);
    else {
      const target = textOf(valueAt(item, "target")) ?? "";
      add(`${target}/${textOf(valueAt(item, "protocol")) ?? "tcp"}`, target);
    }
  }
  for (const item of itemsOf(valueAt(service, "expose"))) add(textOf(item) ?? "", textOf(item) ?? "");
  return { ports: [...new Set(found)], unread, hasOther };
}

/** Ports and ranges of a label, such as `80,8000-8010`; null for anything else. */
export function portsOfLabel(text: string): readonly string[] | null {
  const ports: string[] = [];
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const range = expandRange(part.trim());
    if (range === null) return null;
    ports.push(...range);
  }
  return ports;
}

/** The number of a port; of an expression, the one that it has when nothing is set; null for one that cannot be known. */
export function numberOf(port: string): number | null {
  const text = NUMBER.test(port) ? port : DEFAULT.exec(port)?.[1];
  return text === undefined ? null : Number(text);
}

/** `8080:80`, `127.0.0.1:8080:80`, `[::1]:80:80`, `80`: what stands last. */
function innerSide(text: string): string {
  return text.match(PART)?.at(-1) ?? "";
}

/** `80/udp` in two; a slash within an expression is part of it. */
function splitProtocol(text: string): readonly [string, string?] {
  const match = /^(.*)\/([A-Za-z]+)$/.exec(text);
  return match === null ? [text] : [match[1]!, match[2]!];
}

function expandRange(text: string): readonly string[] | null {
  if (EXPRESSION.test(text)) return [text];
  const [first, last, ...more] = text.split(/[-:]/);
  if (first === undefined || more.length > 0 || !isPort(first)) return null;
  if (last === undefined) return [String(Number(first))];
  if (!isPort(last) || Number(last) < Number(first) || Number(last) - Number(first) >= RANGE_MAX) return null;
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => String(Number(first) + index));
}

function isPort(text: string): boolean {
  return NUMBER.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

function itemsOf(value: unknown): readonly unknown[] {
  return isSeq(value) ? value.items : value === null || isMap(value) ? [] : [value];
}
