// Writes docs/errors.md, docs/limits.md and docs/checks.md anew from the tables in the source.

import { writeFileSync } from "node:fs";
import { checksDocument, errorsDocument, limitsDocument } from "./docs-tables.ts";

const docs = new URL("../docs/", import.meta.url);
writeFileSync(new URL("errors.md", docs), errorsDocument());
writeFileSync(new URL("limits.md", docs), limitsDocument());
writeFileSync(new URL("checks.md", docs), checksDocument());
