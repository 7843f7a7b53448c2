// The places of a Proxy document that name a service, also of a document whose shape is wrong elsewhere.

import { formatPath } from "./problem.ts";
import type { Path } from "./problem.ts";
import type { ReferenceContext } from "./proxy-context.ts";
import type { CatalogEntry } from "./service-catalog.ts";
import { show, valueAt } from "./shape-problems.ts";

export interface FoundService {
  readonly entry: CatalogEntry;
  readonly port: number | null;
}

/** The service that the text at a path names, `null` after reporting that there is none. */
export function findService(context: ReferenceContext, path: Path, reference: string, proxyNamespace: string): FoundService | null {
  const found = context.catalog.find(reference, proxyNamespace);
  if (found.kind === "known") return found;
  if (context.isComplete) {
    const message = `${formatPath(path)} is ${show(reference)}, and no Service has this name`;
    context.problems.push(context.document.problemAt(path, "value", "error", message, found.hint));
  }
  return null;
}

/** Reports the unknown names in a document that could not be compiled, so that all mistakes are told at once. */
export function checkReferences(context: ReferenceContext, proxyNamespace: string): void {
  const ports = valueAt(context.document.value, ["spec", "outbound", "ports"]);
  const paths: Path[] = [["spec", "outbound", "default"]];
  if (Array.isArray(ports)) paths.push(...ports.map((_, index) => ["spec", "outbound", "ports", index, "service"]));
  for (const path of paths) {
    const reference = valueAt(context.document.value, path);
    if (typeof reference === "string") findService(context, path, reference, proxyNamespace);
  }
}
