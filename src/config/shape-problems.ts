// Words for what is wrong with a document's shape: the likely intent is guessed from the value that is there.

import { nearest } from "./did-you-mean.ts";
import { formatPath } from "./problem.ts";
import type { Path } from "./problem.ts";
import type { KeyRow, SchemaIssue, ValueIssue } from "./schema.ts";

/** A problem before it has a place in a file. */
export interface Finding {
  readonly path: Path;
  /** Point at the key or at its value. */
  readonly at: "key" | "value";
  readonly message: string;
  readonly hint: string | null;
}

/** Characters of a wrong value that are shown. */
const SHOWN_LENGTH_MAX = 60;

/** Turns an issue into words. `root` is the document's plain value, `keys` are all keys of its kind. */
export function describeIssue(issue: SchemaIssue, root: unknown, keys: readonly KeyRow[]): Finding {
  if (issue.what === "unknown-key") return describeUnknownKey(issue, keys);
  const path = formatPath(issue.path);
  if (issue.what === "bad-address") {
    const { message, hint } = issue.mistake;
    return { path: issue.path, at: "value", message: `${path} is ${show(valueAt(root, issue.path))}: ${message}`, hint };
  }
  if (issue.what === "missing") {
    return { path: issue.path, at: "key", message: `${path} is missing`, hint: `expected ${issue.expects}` };
  }
  const value = valueAt(root, issue.path);
  const message = value === null ? `${path} has no value` : `${path} is ${show(value)}`;
  return { path: issue.path, at: "value", message, hint: guess(value, issue) };
}

/** A value as it is shown in a message: JSON, shortened. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a map of keys";
  const text = typeof value === "number" && !Number.isFinite(value) ? String(value) : JSON.stringify(value);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}...` : text;
}

function describeUnknownKey(issue: SchemaIssue & { what: "unknown-key" }, keys: readonly KeyRow[]): Finding {
  const parent = issue.path.length === 0 ? "a document" : formatPath(issue.path);
  const near = nearest(issue.key, issue.keys);
  const elsewhere = keys.filter((row) => row.key.endsWith(`.${issue.key}`)).map((row) => row.key);
  const hint = near === null ? hintWithoutNear(issue, elsewhere) : `did you mean ${near}?`;
  const shown = issue.key.length > SHOWN_LENGTH_MAX ? `${issue.key.slice(0, SHOWN_LENGTH_MAX)}...` : issue.key;
  return { path: [...issue.path, issue.key], at: "key", message: `${shown} is not a key of ${parent}`, hint };
}

/** Keys that are listed in a hint; a longer list is in the documentation. */
const LISTED_KEYS_MAX = 12;

function hintWithoutNear(issue: SchemaIssue & { what: "unknown-key" }, elsewhere: readonly string[]): string {
  if (elsewhere.length > 0) return `did you mean ${elsewhere.join(" or ")}?`;
  return issue.keys.length > LISTED_KEYS_MAX ? "docs/configuration.md has the keys" : `keys here: ${issue.keys.join(", ")}`;
}

function guess(value: unknown, issue: ValueIssue): string {
  const meant = typeof value === "string" ? meantByText(value, issue) : meantByOther(value, issue);
  return meant === null ? `expected ${issue.expects}` : `did you mean ${meant}? Expected ${issue.expects}`;
}

function meantByText(value: string, issue: ValueIssue): string | null {
  switch (issue.type) {
    case "enum":
      return nearest(value, issue.values);
    case "boolean":
      return booleanLike(value);
    case "name":
      return nameLike(value);
    case "whole number":
      return numberLike(value, issue.expects);
    case "map": {
      const [, left, right] = /^([A-Za-z]+):(\S.*)$/.exec(value) ?? [];
      return left === undefined || right === undefined ? null : `${show(`${left}: ${right}`).slice(1, -1)}, with a space after the colon`;
    }
    default:
      return null;
  }
}

function meantByOther(value: unknown, issue: ValueIssue): string | null {
  // YAML reads an unquoted [::1]:4140 as a list.
  if (Array.isArray(value) && issue.type === "address") return "an IPv6 address in quotes";
  if (value === false && issue.values.includes("off")) return "off";
  if (value === true && issue.values.includes("off")) return issue.values.filter((one) => one !== "off").join(" or ");
  if (typeof value === "number" && issue.type === "address" && Number.isInteger(value)) return `"127.0.0.1:${value}"`;
  return null;
}

function booleanLike(value: string): string | null {
  if (/^(yes|y|on|true|1|enabled)$/i.test(value)) return "true";
  return /^(no|n|off|false|0|disabled)$/i.test(value) ? "false" : null;
}

/** The name that somebody who wrote `Web.1` probably accepts. */
function nameLike(value: string): string | null {
  const name = value
    .toLowerCase()
    .replace(/[^-_a-z0-9]+/g, "-")
    .replace(/^[^a-z]+|[^a-z0-9]+$/g, "")
    .slice(0, 63);
  return name === "" || name === value ? null : name;
}

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  b: 1,
  k: 1024,
  kb: 1024,
  kib: 1024,
  ki: 1024,
  m: 1024 ** 2,
  mb: 1024 ** 2,
  mib: 1024 ** 2,
  mi: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1024 ** 3,
  gib: 1024 ** 3,
  gi: 1024 ** 3,
};

/** `"80"` is 80, `10s` is 10000 where milliseconds are expected, `64KiB` is 65536 where bytes are. */
function numberLike(value: string, expects: string): string | null {
  const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)(?:\/s)?\s*$/i.exec(value);
  if (match === null) return null;
  const unit = (match[2] ?? "").toLowerCase();
  const perUnit =
    unit === "" ? 1 : expects.includes("(ms)") ? MS_PER_UNIT[unit] : expects.includes("(bytes") ? BYTES_PER_UNIT[unit] : undefined;
  return perUnit === undefined ? null : String(Math.round(Number(match[1]) * perUnit));
}

/** The plain value at a path, `undefined` where there is none. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
