// Renders docs/errors.md, docs/limits.md and docs/checks.md from the tables in the source, so that the documents cannot drift from them.
//
// Pure functions from a table to markdown. `npm run docs` is not needed by anybody who only reads: the results are
// committed, and a house test compares them with what these functions return.

import { CATEGORIES, CHECKS, categoryOf, type CheckId, rowOf } from "../src/cli/check/catalogue.ts";
import { ERRORS, type ErrorRow } from "../src/core/errors/error-codes.ts";
import { IDENTITY_ERRORS } from "../src/core/errors/identity-errors.ts";
import { LIMITS, type LimitRow } from "../src/config/limits.ts";

const GENERATED = "<!-- Written by scripts/docs.ts; change the table in the source and run `node scripts/run.mjs docs`. -->";

const ORIGINS: readonly [ErrorRow["origin"], string, string][] = [
  [
    "downstream",
    "What the client did",
    "The connection that carried the request is closed where the table says so: after it, nobody can know where the next request begins.",
  ],
  [
    "upstream",
    "What the upstream did",
    "The client gets the status below if nothing of a response was sent to it; otherwise its connection is cut, so that the message cannot look complete.",
  ],
  ["internal", "What Weft decided", "Routing, limits and the proxy's own state."],
];

/** A cell: no line breaks, no column separators. */
function cell(text: string | number): string {
  return String(text).replaceAll("|", "\\|").replaceAll("\n", " ");
}

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.map(cell).join(" | ")} |`;
}

/** The document of the error table. */
export function errorsDocument(errors: Readonly<Record<string, ErrorRow>> = ERRORS): string {
  const lines = [
    "# Errors",
    "",
    GENERATED,
    "",
    "Every failure on the data path has one stable code. An answer that Weft makes itself carries the code and the cause in the header",
    "`l5d-proxy-error`, in the access log where that is on, and, by its label, in the `error` label of the metrics. Status 0: no answer is possible, the connection is closed.",
    "",
    "*Closes* says whether the client's connection ends. *Retry* says when Weft itself tries once more:",
    "`if-nothing-sent`: nothing of the request had reached the endpoint; `if-reused-connection`: an idempotent request on a pooled",
    "connection that the upstream had closed, or on one that it has reset; `idempotent-only`: methods that may be sent twice; `never`: it is the caller's decision.",
  ];
  for (const [origin, title, note] of ORIGINS) {
    lines.push("", `## ${title}`, "", note, "");
    lines.push(row(["code", "id", "status", "closes", "retry", "label", "cause"]), row(["---", "---", "---", "---", "---", "---", "---"]));
    for (const [code, error] of Object.entries(errors)) {
      if (error.origin !== origin) continue;
      const label = error.label === "" ? "" : `\`${error.label}\``;
      lines.push(row([`\`${code}\``, error.id, error.status, error.close ? "yes" : "no", error.retry, label, error.cause]));
    }
  }
  lines.push(...identityErrors());
  return `${lines.join("\n")}\n`;
}

/** Why the identity component refuses: gRPC, not HTTP. */
function identityErrors(): string[] {
  const rows = Object.entries(IDENTITY_ERRORS).map(([code, { status, cause }]) => row([`\`${code}\``, `\`${status}\``, cause]));
  return [
    "",
    "## Identity",
    "",
    "Why the identity component gives no certificate: the gRPC message begins with the code in brackets. `UNAVAILABLE`, `RESOURCE_EXHAUSTED` and",
    "`INTERNAL` are worth another try with the same token, the others are not.",
    "",
    row(["code", "status", "cause"]),
    row(["---", "---", "---"]),
    ...rows,
  ];
}

/** Numbers for people: 32768 bytes are 32 KiB, 10000 ms are 10 s. */
function quantity(value: number, unit: LimitRow["unit"]): string {
  if (value === Number.MAX_SAFE_INTEGER) return "2^53 - 1";
  if (unit === "ms" && value >= 1000 && value % 1000 === 0) return `${value / 1000} s`;
  if (unit === "ms") return `${value} ms`;
  if (unit === "count" || unit === "1/s") return String(value);
  const suffix = unit === "bytes/s" ? "/s" : "";
  if (value >= 1024 ** 2 && value % 1024 ** 2 === 0) return `${value / 1024 ** 2} MiB${suffix}`;
  if (value >= 1024 && value % 1024 === 0) return `${value / 1024} KiB${suffix}`;
  return value === 0 ? "0" : `${value} ${unit === "bytes/s" ? "bytes/s" : "bytes"}`;
}

/** The document of the limits. */
export function limitsDocument(limits: Readonly<Record<string, LimitRow>> = LIMITS): string {
  const lines = [
    "# Limits",
    "",
    GENERATED,
    "",
    "Every queue, buffer, table and wait of the data plane ends somewhere. Each limit can be set for a proxy under `spec.limits`, in the unit that its",
    "name says (`Ms` milliseconds, `Bytes` bytes), within the range below; a value outside it is an error that names the file, line and column.",
    "",
    row(["limit", "default", "unit", "from", "to", "what it is, why this number"]),
    row(["---", "---", "---", "---", "---", "---"]),
  ];
  for (const [name, limit] of Object.entries(limits)) {
    lines.push(
      row([
        `\`${name}\``,
        quantity(limit.default, limit.unit),
        limit.unit,
        quantity(limit.min, limit.unit),
        quantity(limit.max, limit.unit),
        limit.reason,
      ]),
    );
  }
  lines.push("", "```yaml", "kind: Proxy", "spec:", "  limits: {headerDeadlineMs: 5000, connectionsMax: 2000}", "```");
  return `${lines.join("\n")}\n`;
}

/** The document of what `weft check` looks at. Headings are the ids: what it prints as a hint leads there. */
export function checksDocument(): string {
  const lines = [
    "# Checks",
    "",
    GENERATED,
    "",
    "`weft check --pre` says whether a mesh can run here, `weft check` whether the one that runs is well. Each check below has an id, which stays, in the hint that",
    "is printed when it fails, and in `-o json`. √ passed; ‼ a warning, which does not change the exit code; × failed, exit code 1. After a *fatal* failure nothing more",
    "is looked at. What is *waited for* is looked at again until `--wait` is over. A check that has nothing to look at is left out.",
  ];
  for (const [category, about] of Object.entries(CATEGORIES)) {
    lines.push("", `## ${category}`, "", about);
    for (const id of (Object.keys(CHECKS) as CheckId[]).filter((one) => categoryOf(one) === category)) {
      const { title, fails, isRetried, means, remedy } = rowOf(id);
      lines.push(
        "",
        `### ${id}`,
        "",
        `*${title}*: ${fails}${isRetried === true ? ", waited for" : ""}.`,
        "",
        means,
        "",
        `What to do: ${remedy}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}
