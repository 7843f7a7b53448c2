// What must stand in no tracked file: paths of one developer's machine, hosts of package registries; and loose versions.

import { finding, lineAt } from "./files.ts";

// The patterns are put together from pieces, so that this file does not contain what it looks for.
const BANNED: readonly [RegExp, string][] = [
  [new RegExp(`(?<![\\w.])/(${["work", "home", "Users"].join("|")})/[\\w.]`, "g"), "a path of one machine"],
  [new RegExp(`(?<![\\w.])/${"root"}/[\\w.]`, "g"), "a path of one machine"],
  [new RegExp(`[A-Z]:\\\\${"Users"}\\\\`, "g"), "a path of one machine"],
  [new RegExp(`\\b${["registry", "(npmjs|yarnpkg|npmmirror)"].join("\\.")}\\.(org|com)\\b`, "g"), "a package registry's host"],
  [
    new RegExp(`\\b(${["static\\.crates", "index\\.crates", "files\\.pythonhosted", "deb\\.debian"].join("|")})\\.(io|org)\\b`, "g"),
    "a package registry's host",
  ],
  [new RegExp(`"${"resolved"}":`, "g"), "the address that a package came from (npm install --omit-lockfile-registry-resolved)"],
];

/** Machine paths and registry hosts in one file. */
export function hygieneProblems(path: string, text: string): string[] {
  const problems: string[] = [];
  for (const [pattern, what] of BANNED) {
    for (const match of text.matchAll(pattern)) problems.push(finding(path, lineAt(text, match.index), `${match[0]} is ${what}`));
  }
  return problems;
}

export interface PackageFile {
  readonly [key: string]: unknown;
}

/** Dependencies whose version is a range, a tag or an address. */
export function looseVersions(manifest: PackageFile): string[] {
  const problems: string[] = [];
  for (const group of ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"]) {
    for (const [name, version] of Object.entries((manifest[group] ?? {}) as Record<string, string>)) {
      if (!/^(npm:(@[\w.-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
        problems.push(`${name}: ${version} is not one exact version`);
    }
  }
  return problems;
}

/** Relative links of a markdown text, with what stands before `#`; code blocks do not count. */
export function relativeLinks(markdown: string): { readonly target: string; readonly line: number }[] {
  const text = markdown
    .replace(/^```[\s\S]*?^```/gm, (block) => block.replace(/[^\n]/g, " "))
    .replace(/`[^`\n]*`/g, (code) => " ".repeat(code.length));
  const links: { target: string; line: number }[] = [];
  for (const match of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    const target = match[1]!;
    if (/^[a-z][a-z0-9+.-]*:/i.test(target) || target.startsWith("#")) continue;
    links.push({ target: target.split("#")[0]!, line: lineAt(text, match.index) });
  }
  return links;
}

/** Files of the project that a text names by their path (`core/h1/x.ts` means `src/core/h1/x.ts`). */
export function namedFiles(text: string): { readonly path: string; readonly line: number }[] {
  const files: { path: string; line: number }[] = [];
  for (const match of text.matchAll(
    /(?<![\w./-])((?:src|test|bench|scripts|docs|native-notes|core|config|workers|admin|cli)\/[\w./-]*\w\.(?:ts|mjs|md|json))\b/g,
  )) {
    const path = match[1]!;
    const isBelowSrc = /^(core|config|workers|admin|cli)\//.test(path);
    files.push({ path: isBelowSrc ? `src/${path}` : path, line: lineAt(text, match.index) });
  }
  return files;
}
