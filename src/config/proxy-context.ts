// What compiling a Proxy document needs to see, handed through in one piece.

import type { CompiledService } from "./compile-service.ts";
import type { ConfigOverrides, SourceFile } from "./config-source.ts";
import type { Problem } from "./problem.ts";
import type { ProxyDocument } from "./schema.ts";
import type { ServiceCatalog } from "./service-catalog.ts";
import type { SourceDocument } from "./yaml-documents.ts";

export interface ReferenceContext {
  readonly document: SourceDocument;
  readonly catalog: ServiceCatalog;
  /** False when documents may be missing because they could not be read: then an unknown name is no mistake yet. */
  readonly isComplete: boolean;
  readonly problems: Problem[];
}

export interface ProxyContext extends ReferenceContext {
  readonly shape: ProxyDocument;
  readonly services: readonly CompiledService[];
  readonly overrides: ConfigOverrides;
  /** The file or folder that the documents came from; null for text. */
  readonly sourcePath: string | null;
  /** Files that documents name are added: they are watched too. */
  readonly files: SourceFile[];
}
