// Who may import whom (ARCHITECTURE.md): the matrix of layers, and the one place of each third-party package.

import { posix } from "node:path";
import { finding, lineAt } from "./files.ts";
import { maskSource } from "./mask.ts";

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** Erased by the compiler: nothing is loaded. */
  readonly isType: boolean;
}

const IMPORT_FORMS = [
  /\b(?:import|export)\s+(?:type\s+)?[\w*{}\s,$]*?\bfrom\s*["']([^"']+)["']/g,
  /\bimport\s*["']([^"']+)["']/g,
  /\bimport\s*\(\s*["']([^"']+)["']/g,
  /\brequire\s*\(\s*["']([^"']+)["']/g,
];

/** Every module that a source names: static, dynamic and re-exporting imports, and require. */
export function importsOf(source: string): Import[] {
  const masked = maskSource(source, "keep-strings");
  const code = maskSource(source, "blank-strings");
  const found: Import[] = [];
  for (const form of IMPORT_FORMS) {
    for (const match of masked.matchAll(form)) {
      // The same words inside a string are no import.
      if (code.slice(match.index, match.index + 6).trim() === "") continue;
      found.push({ specifier: match[1]!, line: lineAt(source, match.index), isType: /^\w+\s+type\b/.test(match[0]) });
    }
  }
  return found;
}

/** What each layer under src may import of Weft. Paths that end in "/" are folders. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  "src/core/": ["src/core/"],
  "src/config/": ["src/config/", "src/core/errors/", "src/core/identity/", "src/core/policy/", "src/core/route/", "src/core/util/"],
  // api: for the thread that gets a certificate.
  "src/workers/": ["src/workers/", "src/core/", "src/api/", "src/config/snapshot.ts", "src/config/limits.ts", "src/admin/"].concat(
    // For the supervisor: loading happens in a thread of its own, behind these; what worker threads may reach is tested beside this.
    ["address", "config-source", "load-in-worker", "problem", "watch", "watch-files", "worker-update"].map(
      (name) => `src/config/${name}.ts`,
    ),
  ),
  "src/api/": ["src/api/"],
  "src/control/": ["src/control/", "src/api/", "src/core/", "src/config/", "src/admin/"],
  "src/admin/": ["src/admin/", "src/core/"],
  "src/cli/": ["src/"],
  "src/viz/": ["src/viz/", "src/core/telemetry/", "src/admin/"],
};

/** The one file or folder under src that may import a package. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "@bufbuild/protobuf": ["src/api/", "src/control/", "src/workers/identity/certifier.ts"],
  "@connectrpc/connect": ["src/control/"],
  "@connectrpc/connect-node": ["src/control/"],
  "@peculiar/x509": ["src/control/identity/", "src/workers/identity/certifier.ts"],
  commander: ["src/cli/"],
  jose: ["src/control/identity/"],
  "reflect-metadata": ["src/control/identity/", "src/workers/identity/certifier.ts"],
  "hdr-histogram-js": ["src/core/telemetry/"],
  koffi: ["src/workers/system-calls.ts"],
  pino: ["src/workers/log.ts", "src/control/log.ts"],
  piscina: ["src/workers/worker-pool.ts", "src/workers/worker-life.ts"],
  "uWebSockets.js": ["src/admin/uws-server.ts"],
  ws: ["src/admin/node-server.ts"],
  yaml: ["src/config/yaml-documents.ts", "src/cli/inject/", "src/cli/install/"],
  zod: ["src/config/schema.ts"],
};

/** Node's own modules that core may use: memory, nothing that acts. */
const CORE_BUILTINS = ["node:buffer"];

/** `@scope/name/file` and `name/file` to the package's name. */
function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** True when `path` is one of the files, or below one of the folders. */
function isWithin(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith("/") ? path.startsWith(place) : path === place));
}

function refusal(path: string, specifier: string): string | null {
  if (specifier.startsWith("node:")) {
    return path.startsWith("src/core/") && !CORE_BUILTINS.includes(specifier) ? `core is pure and may not import ${specifier}` : null;
  }
  if (!specifier.startsWith(".")) {
    const name = packageName(specifier);
    const places = PACKAGES[name];
    if (places === undefined) return `${specifier} is no package that src may import`;
    if (!isWithin(path, places)) return `${name} is imported from ${places.join(", ")} only`;
    return specifier === "hdr-histogram-js" ? "hdr-histogram-js: import the class by its own file, the main entry costs 5 MB" : null;
  }
  const target = posix.join(posix.dirname(path), specifier);
  if (!target.endsWith(".ts")) return `${specifier} does not end in .ts`;
  const layer = Object.keys(LAYERS).find((folder) => path.startsWith(folder));
  if (layer === undefined) return `${path} is in no layer that ARCHITECTURE.md names`;
  return isWithin(target, LAYERS[layer]!) ? null : `${layer} may not import ${target}`;
}

/** The imports of a file under src that break the matrix. */
export function importProblems(path: string, source: string): string[] {
  const problems: string[] = [];
  if (path.endsWith("/index.ts")) problems.push(finding(path, 1, "no barrels: name the file after what is in it"));
  for (const { specifier, line } of importsOf(source)) {
    const problem = refusal(path, specifier);
    if (problem !== null) problems.push(finding(path, line, problem));
  }
  return problems;
}

/** Packages and files that are loaded when `entry` is, through all its imports, dynamic ones included. */
export function loadedBy(entry: string, read: (path: string) => string): { readonly files: Set<string>; readonly packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (files.has(path)) continue;
    files.add(path);
    for (const { specifier, isType } of importsOf(read(path))) {
      if (isType || specifier.startsWith("node:")) continue;
      if (specifier.startsWith(".")) waiting.push(posix.join(posix.dirname(path), specifier));
      else packages.add(packageName(specifier));
    }
  }
  return { files, packages };
}
