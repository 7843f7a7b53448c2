// `extends`: what a service gets from its base, in the same file or another one, merged as docker-compose and Compose v2 do.
//
// Maps are merged key by key, lists are joined without doubles, everything else is the service's own if it has it. A base in another folder has paths
// of its own; only compose itself can read those, so they are named (`movedPaths`) for whoever would have to write them elsewhere.

import { readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { isMap, isScalar, isSeq, Pair, YAMLMap } from "yaml";
import { Refusal } from "../../../config/yaml-documents.ts";
import { canonical, Expander, listOf, plain, quoted, type Tree, valueAt, withKey, withoutKeys } from "../tree.ts";
import { isNull, pairOf, readYaml, startOf, textOf } from "../yaml-source.ts";

export interface Extended {
  /** The base's name when it is in the same file, else null. */
  readonly localBase: string | null;
  readonly effective: YAMLMap;
  /** Paths from a base in another folder, as they are written there: they mean something else in this file. */
  readonly movedPaths: readonly string[];
}

/** Bases of bases: more is a circle. */
const DEPTH_MAX = 16;
/** Bytes of another file. */
const BYTES_MAX = 16 * 1024 * 1024;

/** Maps, also when one of the two is written as a list of `KEY=value`. */
const MAPPINGS = ["environment", "labels", "ulimits", "sysctls", "depends_on", "extra_hosts", "networks", "storage_opt", "annotations"];
const JOINED = ["ports", "expose", "volumes", "devices", "secrets", "configs", "security_opt", "cap_add", "cap_drop", "links"].concat([
  ...[
    "external_links",
    "volumes_from",
    "device_cgroup_rules",
    "profiles",
    "dns",
    "dns_search",
    "dns_opt",
    "env_file",
    "tmpfs",
    "group_add",
  ],
]);
/** Maps of settings: their keys count one by one, and those of maps within them. */
const DEEP = ["build", "deploy", "healthcheck", "logging", "blkio_config", "develop"];

export class Bases {
  readonly #file: string;
  readonly #files = new Map<string, ReadonlyMap<string, YAMLMap>>();

  constructor(file: string) {
    this.#file = file;
  }

  /** What the service is with its base; null when it has none. Throws a Refusal. */
  resolve(services: ReadonlyMap<string, YAMLMap>, name: string): Extended | null {
    return this.#resolve(services, name, this.#file, null, 0);
  }

  /** `at`: where the problem is told, in the first file. */
  #resolve(services: ReadonlyMap<string, YAMLMap>, name: string, file: string, at: number | null, depth: number): Extended | null {
    const service = services.get(name)!;
    const entry = pairOf(service, "extends");
    if (entry === null || isNull(entry.value)) return null;
    const place = at ?? startOf(entry.value);
    if (depth > DEPTH_MAX) throw new Refusal(place, `extends goes more than ${DEPTH_MAX} bases deep`, "is it a circle?");
    const baseName = isScalar(entry.value) ? textOf(entry.value) : textOf(valueAt(entry.value, "service"));
    if (baseName === null) throw new Refusal(place, "extends names no service", "expected extends: {service: NAME}");
    const otherFile = textOf(valueAt(entry.value, "file"));
    const own = withoutKeys(service, ["extends"]);
    if (otherFile === null) {
      if (!services.has(baseName)) throw new Refusal(place, `extends: there is no service ${baseName} in this file`, null);
      const base = this.#resolve(services, baseName, file, place, depth + 1);
      const effective = mergeServices(base?.effective ?? services.get(baseName)!, own);
      return { localBase: depth === 0 ? baseName : null, effective, movedPaths: base?.movedPaths ?? [] };
    }
    const path = isAbsolute(otherFile) ? otherFile : join(dirname(file), otherFile);
    const others = this.#read(path, place);
    if (!others.has(baseName)) throw new Refusal(place, `extends: there is no service ${baseName} in ${path}`, null);
    const base = this.#resolve(others, baseName, path, place, depth + 1);
    const whole = base?.effective ?? others.get(baseName)!;
    const movedPaths = dirname(path) === dirname(file) ? (base?.movedPaths ?? []) : [...(base?.movedPaths ?? []), ...pathsOf(whole)];
    return { localBase: null, effective: mergeServices(whole, own), movedPaths };
  }

  #read(path: string, place: number): ReadonlyMap<string, YAMLMap> {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    let text: string;
    try {
      if (statSync(path).size > BYTES_MAX) throw new Refusal(place, `extends: ${path} is larger than ${BYTES_MAX} bytes`, null);
      text = readFileSync(path, "utf8");
    } catch (error) {
      if (error instanceof Refusal) throw error;
      const { code = "unknown error" } = error as NodeJS.ErrnoException;
      throw new Refusal(place, `extends: ${path} cannot be read: ${code}`, null);
    }
    const { documents, problems } = readYaml({ file: path, text });
    const [problem] = problems;
    if (problem !== undefined)
      throw new Refusal(place, `extends: ${path}:${problem.line}:${problem.column}: ${problem.message}`, problem.hint);
    const [first] = documents;
    const map = first === undefined ? null : new Expander(first.targets, false).expand(first.document.contents);
    const services = valueAt(map, "services");
    if (!isMap(services)) throw new Refusal(place, `extends: ${path} is no compose file: it has no services`, null);
    const found = new Map(services.items.flatMap((pair) => (isMap(pair.value) ? [[textOf(pair.key) ?? "", pair.value] as const] : [])));
    this.#files.set(path, found);
    return found;
  }
}

function mergeServices(base: YAMLMap, own: YAMLMap): YAMLMap {
  let merged = withoutKeys(base, ["extends"]);
  for (const pair of own.items) {
    const key = textOf(pair.key) ?? "";
    const inherited = valueAt(base, key);
    merged = withKey(merged, key, inherited === null ? (pair.value as Tree) : mergeValues(key, inherited, pair.value as Tree));
  }
  return merged;
}

function mergeValues(key: string, base: Tree, own: Tree): Tree {
  if (MAPPINGS.includes(key)) return mergeMaps(asMap(base), asMap(own), false);
  if (JOINED.includes(key)) return joinLists(base, own);
  if (DEEP.includes(key)) return mergeMaps(key === "build" ? asBuild(base) : base, key === "build" ? asBuild(own) : own, true);
  return own;
}

function mergeMaps(base: Tree, own: Tree, isDeep: boolean): Tree {
  if (!isMap(base) || !isMap(own)) return own;
  let merged = withoutKeys(base, []);
  for (const pair of own.items) {
    const key = textOf(pair.key) ?? "";
    const inherited = isDeep ? valueAt(base, key) : null;
    const isMergeable = isMap(inherited) && isMap(pair.value);
    merged = withKey(merged, key, isMergeable ? mergeMaps(inherited, pair.value as Tree, true) : (pair.value as Tree));
  }
  return merged;
}

function asBuild(value: Tree): Tree {
  if (!isScalar(value)) return value;
  const map = new YAMLMap();
  map.items.push(new Pair(plain("context"), value));
  return map;
}

/** A list of `KEY=value` (extra_hosts: `name:address`; names alone) as a map. */
function asMap(value: Tree): Tree {
  if (!isSeq(value)) return value;
  const map = new YAMLMap();
  for (const item of value.items) {
    const text = textOf(item) ?? "";
    const at = /[=:]/.exec(text)?.index ?? text.length;
    const isAlone = at === text.length;
    map.items.push(new Pair(plain(text.slice(0, at)), isAlone ? plain("null") : quoted(text.slice(at + 1))));
  }
  return map;
}

function joinLists(base: Tree, own: Tree): Tree {
  const items = [...(isSeq(base) ? base.items : [base]), ...(isSeq(own) ? own.items : [own])] as Tree[];
  const seen = new Set<string>();
  const last = items.toReversed().filter((item) => {
    const identity = identityOf(item);
    return !seen.has(identity) && seen.add(identity) !== undefined;
  });
  return listOf(last.toReversed(), false);
}

/** Two mounts of one place, or two secrets of one name, are one: the later counts. */
function identityOf(item: Tree): string {
  if (isMap(item)) return textOf(valueAt(item, "target")) ?? textOf(valueAt(item, "source")) ?? canonical(item);
  const text = textOf(item) ?? "";
  return /^[^:]+:(\/[^:]*)/.exec(text)?.[1] ?? text;
}

/** Paths that are relative to the file they stand in. */
function pathsOf(service: YAMLMap): string[] {
  const paths: string[] = [];
  if (valueAt(service, "build") !== null) paths.push("build");
  if (valueAt(service, "env_file") !== null) paths.push("env_file");
  const volumes = valueAt(service, "volumes");
  for (const item of isSeq(volumes) ? volumes.items : []) {
    const text = textOf(item) ?? textOf(valueAt(item, "source")) ?? "";
    if (text.startsWith(".")) paths.push(`volumes: ${text}`);
  }
  return paths;
}
