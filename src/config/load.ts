// Loads a configuration: texts to documents, documents to one checked and frozen snapshot. All mistakes at once.
//
// Costs some 20 MB and 200 ms of imports and parsing, so a long-lived process calls it through `loadInWorker`.

import { compileProxy } from "./compile-proxy.ts";
import { checkEndpoints, compileService } from "./compile-service.ts";
import type { CompiledService } from "./compile-service.ts";
import type { ConfigSource, LoadResult, SourceFile } from "./config-source.ts";
import { deepFreeze } from "./deep-freeze.ts";
import { NAMESPACE } from "./defaults.ts";
import { nearest } from "./did-you-mean.ts";
import { PROBLEMS_MAX, sortProblems } from "./problem.ts";
import type { Path, Problem } from "./problem.ts";
import type { ReferenceContext } from "./proxy-context.ts";
import { readSources } from "./read-sources.ts";
import { API_VERSION, checkShape, KINDS, listKeys } from "./schema.ts";
import type { Kind, KeyRow, ProxyDocument, SchemaIssue } from "./schema.ts";
import { ServiceCatalog, serviceKey } from "./service-catalog.ts";
import type { CatalogEntry } from "./service-catalog.ts";
import { checkReferences } from "./service-references.ts";
import { describeIssue, show, valueAt } from "./shape-problems.ts";
import type { ProxySnapshot } from "./snapshot.ts";
import { parseYaml } from "./yaml-documents.ts";
import type { SourceDocument } from "./yaml-documents.ts";

/** The configuration of one proxy: the only one of the source, or the one that `proxyName` selects. */
export function loadConfig(source: ConfigSource): LoadResult {
  const catalogue = readCatalogue(source);
  const proxy = selectProxy(source, catalogue);
  const snapshot = proxy === null ? null : compile(proxy, source, catalogue);
  const problems = finish(catalogue);
  if (snapshot === null || hasErrors(problems)) return { problems, files: catalogue.files };
  return { snapshot: deepFreeze(snapshot), warnings: problems, files: catalogue.files };
}

export interface CheckResult {
  readonly problems: readonly Problem[];
  /** `namespace/name` of everything that is described, for a word at the end. */
  readonly proxies: readonly string[];
  readonly services: readonly string[];
}

/** Checks a source as a whole: each of its Proxy documents is compiled. */
export function checkConfig(source: ConfigSource): CheckResult {
  const catalogue = readCatalogue(source);
  if (catalogue.proxies.length === 0 || typeof source.proxyName === "string") selectProxy(source, catalogue);
  for (const proxy of catalogue.proxies) compile(proxy, source, catalogue);
  return {
    problems: finish(catalogue),
    proxies: catalogue.proxies.map((proxy) => serviceKey(proxy.namespace, proxy.name)),
    services: catalogue.services.map((service) => service.snapshot.key),
  };
}

interface ProxyEntry {
  readonly document: SourceDocument;
  /** `null` when the document has mistakes of shape. */
  readonly shape: ProxyDocument | null;
  readonly name: string;
  readonly namespace: string;
}

interface Catalogue {
  /** As the user called the whole. */
  readonly label: string;
  readonly files: SourceFile[];
  readonly fileOrder: readonly string[];
  readonly problems: Problem[];
  readonly proxies: ProxyEntry[];
  readonly services: CompiledService[];
  /** Also those whose documents have mistakes. */
  readonly entries: CatalogEntry[];
  isComplete: boolean;
}

function readCatalogue(source: ConfigSource): Catalogue {
  const { texts, files, problems } = readSources(source);
  const catalogue: Catalogue = {
    label: source.path ?? texts[0]?.file ?? "",
    files: [...files],
    fileOrder: texts.map((text) => text.file),
    problems: [...problems],
    proxies: [],
    services: [],
    entries: [],
    isComplete: problems.length === 0,
  };
  for (const { file, text } of texts) {
    const parsed = parseYaml(file, text);
    catalogue.problems.push(...parsed.problems);
    if (!parsed.isComplete) catalogue.isComplete = false;
    for (const document of parsed.documents) addDocument(document, catalogue);
  }
  return catalogue;
}

function addDocument(document: SourceDocument, catalogue: Catalogue): void {
  const kind = readKind(document, catalogue.problems);
  if (kind === null) {
    catalogue.isComplete = false;
    return;
  }
  const name = textAt(document, ["metadata", "name"]);
  const namespace = textAt(document, ["metadata", "namespace"]) ?? NAMESPACE;
  checkDuplicate(document, kind, name, namespace, catalogue);
  if (kind === "Proxy") {
    const result = checkShape("Proxy", document.value);
    if ("issues" in result) reportIssues(document, result.issues, listKeys("Proxy"), catalogue.problems);
    catalogue.proxies.push({ document, shape: "ok" in result ? result.ok : null, name: name ?? "", namespace });
    return;
  }
  const result = checkShape("Service", document.value);
  if ("issues" in result) {
    reportIssues(document, result.issues, listKeys("Service"), catalogue.problems);
    const wrong = result.issues.map((issue) => issue.path);
    checkEndpoints(document, wrong, catalogue.problems);
    if (name === null) catalogue.isComplete = false;
    else catalogue.entries.push({ name, namespace, service: null });
    return;
  }
  const service = compileService(document, result.ok, catalogue.problems);
  catalogue.services.push(service);
  catalogue.entries.push({ name: service.snapshot.name, namespace, service: service.snapshot });
}

/** The kind of a document of ours; otherwise `null` after one problem. */
function readKind(document: SourceDocument, problems: Problem[]): Kind | null {
  const { value } = document;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const hint = "expected a map with apiVersion, kind, metadata and spec";
    problems.push(document.problemAt([], "value", "error", `the document is ${show(value)}`, hint));
    return null;
  }
  const { kind, apiVersion } = value as Record<string, unknown>;
  if (kind === undefined) {
    problems.push(document.problemAt([], "value", "error", "the document has no kind", `expected one of ${KINDS.join(", ")}`));
    return null;
  }
  const known = KINDS.find((candidate) => candidate === kind);
  const isOurs = typeof apiVersion !== "string" || apiVersion.startsWith("weft") || nearest(apiVersion, [API_VERSION]) !== null;
  if (!isOurs) {
    const message = `apiVersion is ${show(apiVersion)}, which Weft does not read`;
    problems.push(document.problemAt(["apiVersion"], "value", "error", message, `kinds here: ${KINDS.join(", ")} of ${API_VERSION}`));
    return null;
  }
  if (known !== undefined) return known;
  const near = typeof kind === "string" ? nearest(kind, KINDS) : null;
  const hint = near === null ? `expected one of ${KINDS.join(", ")}` : `did you mean ${near}?`;
  problems.push(document.problemAt(["kind"], "value", "error", `kind is ${show(kind)}`, hint));
  return null;
}

function checkDuplicate(document: SourceDocument, kind: Kind, name: string | null, namespace: string, catalogue: Catalogue): void {
  if (name === null) return;
  const others =
    kind === "Proxy" ? catalogue.proxies : catalogue.services.map((service) => ({ document: service.document, ...service.snapshot }));
  const other = others.find((candidate) => candidate.name === name && candidate.namespace === namespace);
  if (other === undefined) return;
  const first = other.document.problemAt(["metadata", "name"], "value", "error", "", null);
  const message = `${kind} ${serviceKey(namespace, name)} is described for the second time`;
  catalogue.problems.push(
    document.problemAt(["metadata", "name"], "value", "error", message, `the first is at ${first.file}:${first.line}`),
  );
}

function reportIssues(document: SourceDocument, issues: readonly SchemaIssue[], keys: readonly KeyRow[], problems: Problem[]): void {
  // One more than is shown, so that somebody says that there are more.
  for (const issue of issues.slice(0, PROBLEMS_MAX + 1)) {
    const finding = describeIssue(issue, document.value, keys);
    problems.push(document.problemAt(finding.path, finding.at, "error", finding.message, finding.hint));
  }
}

function selectProxy(source: ConfigSource, catalogue: Catalogue): ProxyEntry | null {
  const { proxies, problems, label } = catalogue;
  const wanted = source.proxyName ?? null;
  const names = proxies.map((proxy) => proxy.name);
  const general = (message: string, hint: string): null => {
    problems.push({ file: label, line: 0, column: 0, severity: "error", message, hint });
    return null;
  };
  if (proxies.length === 0) {
    // Where documents could not be read, the Proxy may be one of them.
    return catalogue.isComplete
      ? general("there is no Proxy document", `add one: apiVersion: ${API_VERSION}, kind: Proxy, metadata: {name: ...}`)
      : null;
  }
  const matches =
    wanted === null ? proxies : proxies.filter(({ name, namespace }) => name === wanted || serviceKey(namespace, name) === wanted);
  const [first, second] = matches;
  if (first === undefined) {
    const near = nearest(wanted ?? "", names);
    return general(
      `no Proxy document is named ${show(wanted)}`,
      near === null ? `there are: ${names.join(", ")}` : `did you mean --name ${near}?`,
    );
  }
  if (second !== undefined) {
    const hint = `choose one with --name: ${matches.map((proxy) => (wanted === null ? proxy.name : serviceKey(proxy.namespace, proxy.name))).join(", ")}`;
    problems.push(second.document.problemAt(["metadata", "name"], "value", "error", `there are ${matches.length} Proxy documents`, hint));
    return null;
  }
  return first;
}

function compile(proxy: ProxyEntry, source: ConfigSource, catalogue: Catalogue): ProxySnapshot | null {
  const { services, entries, isComplete, problems } = catalogue;
  const context: ReferenceContext = { document: proxy.document, catalog: new ServiceCatalog(entries), isComplete, problems };
  if (proxy.shape !== null) {
    const { overrides = {}, path: sourcePath = null } = source;
    return compileProxy({ ...context, shape: proxy.shape, services, overrides, sourcePath, files: catalogue.files });
  }
  checkReferences(context, proxy.namespace);
  return null;
}

function finish(catalogue: Catalogue): Problem[] {
  return sortProblems(catalogue.problems, [catalogue.label, ...catalogue.fileOrder]);
}

function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === "error");
}

function textAt(document: SourceDocument, path: Path): string | null {
  const value = valueAt(document.value, path);
  return typeof value === "string" ? value : null;
}
