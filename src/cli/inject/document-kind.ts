// Whether a text is a compose file or manifests of Kubernetes, by what its documents say and not by its name.

import { isMap } from "yaml";
import type { Problem } from "../../config/problem.ts";
import type { Source } from "./injection.ts";
import { pairOf, readYaml, textOf } from "./yaml-source.ts";

export type DocumentKind = "compose" | "kubernetes";

/** The kind of all documents, or why there is none. */
export function documentKind(source: Source): DocumentKind | { readonly problems: readonly Problem[] } {
  const { documents, problems, problemAt } = readYaml(source);
  if (problems.length > 0) return { problems };
  const kinds = new Set<DocumentKind>();
  for (const { document } of documents) {
    const root = document.contents;
    const isManifest = isMap(root) && textOf(pairOf(root, "kind")?.value) !== null && textOf(pairOf(root, "apiVersion")?.value) !== null;
    kinds.add(isManifest ? "kubernetes" : "compose");
    if (kinds.size > 1) {
      const message = "compose files and Kubernetes manifests do not go together in one file";
      return { problems: [problemAt(root, "error", message, "give weft inject one kind at a time")] };
    }
  }
  return [...kinds][0] ?? "compose";
}
