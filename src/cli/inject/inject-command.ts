// `weft inject` and `weft uninject`: a file in, the file out on standard output (or `-o`), the report on standard error.
//
// Whether it is a compose file or manifests of Kubernetes is told by its content. Everything is computed, and tokens are made, before the first byte is written.

import { formatProblem } from "../../config/problem.ts";
import { isDnsLabel, isTrustDomain } from "../../core/identity/names.ts";
import { FAILURE } from "../output-format.ts";
import { FileProblem } from "../../control/identity/private-files.ts";
import { injectCompose, uninjectCompose } from "./compose/inject-compose.ts";
import { documentKind } from "./document-kind.ts";
import { FileTrouble, isSystemTrouble, readFolder, readSource, writeOutput } from "./files.ts";
import { type Injection, type InjectOptions, refused, type Source } from "./injection.ts";
import { injectManifests, uninjectManifests } from "./kubernetes/inject-manifests.ts";
import { manifestOptions } from "./kubernetes/options.ts";
import type { ManifestArguments } from "./kubernetes/options.ts";
import { SETTING_PREFIX, settingMistake } from "./linkerd-settings.ts";
import { makeTokens, tokenGroup } from "../install/weft-folder.ts";

/** As they were given. */
export interface InjectArguments extends ManifestArguments {
  readonly output?: string;
  readonly namespace: string;
  readonly trustDomain: string;
  readonly image: string;
  readonly folder: string;
  readonly tokens: boolean;
  readonly dryRun?: true;
  readonly set?: readonly string[];
}

/** Injects; resolves to the exit code. */
export async function runInject(path: string, given: InjectArguments): Promise<number> {
  const { options, mistakes } = readOptions(given);
  if (mistakes.length > 0) return fail("inject", mistakes);
  return await run("inject", path, given.output ?? null, async (source, folder) => {
    const kind = folder === null ? documentKind(source) : folderKind(folder);
    if (typeof kind === "object") return refused(kind.problems);
    if (kind === "kubernetes") return injectManifests(folder ?? [source], manifestOptions(given, options.defaults));
    const injection = injectCompose(source, options);
    if (injection.workloads.length === 0 || !given.tokens || given.dryRun === true) return injection;
    const { made } = await makeTokens(given.folder, {
      namespace: given.namespace,
      trustDomain: given.trustDomain,
      workloads: injection.workloads,
    });
    if (made.length === 0) return injection;
    return { ...injection, notes: [...injection.notes, `tokens made in ${given.folder}/tokens, good for a year: ${made.join(", ")}`] };
  });
}

/** Takes back what inject did; resolves to the exit code. */
export async function runUninject(path: string, output: string | null): Promise<number> {
  return await run("uninject", path, output, async (source, folder) => {
    const kind = folder === null ? documentKind(source) : folderKind(folder);
    if (typeof kind === "object") return refused(kind.problems);
    if (kind === "kubernetes") return uninjectManifests(folder ?? [source]);
    return uninjectCompose(source);
  });
}

/** In a folder there are manifests and nothing else: whatever stood beside them would be printed as one. */
function folderKind(folder: readonly Source[]): ReturnType<typeof documentKind> {
  for (const source of folder) {
    const kind = documentKind(source);
    if (typeof kind === "object") return kind;
    if (kind === "kubernetes") continue;
    const hint = "take it out of the folder; a compose file is named by itself";
    return {
      problems: [
        {
          file: source.file,
          line: 0,
          column: 0,
          severity: "error",
          message: "is no Kubernetes manifest, and a folder may have nothing else",
          hint,
        },
      ],
    };
  }
  return "kubernetes";
}

/** What is done with a source, or with the files of a folder, which only manifests come in. */
type Work = (source: Source, folder: readonly Source[] | null) => Promise<Injection>;

async function run(command: string, path: string, output: string | null, work: Work): Promise<number> {
  try {
    const folder = await readFolder(path);
    const injection = await work(folder?.[0] ?? (await readSource(path)), folder);
    if (injection.text !== null) await writeOutput(output, injection.text);
    report(injection);
    return injection.text === null ? FAILURE : 0;
  } catch (error) {
    const isKnown = error instanceof FileTrouble || error instanceof FileProblem || error instanceof RangeError || isSystemTrouble(error);
    if (!isKnown) throw error;
    return fail(command, [error.message]);
  }
}

function report({ outcomes, problems, notes }: Injection): void {
  const lines = problems.map(formatProblem);
  for (const { workload, what, reason } of outcomes) lines.push(reason === null ? `${workload} ${what}` : `${workload} ${what}: ${reason}`);
  lines.push(...notes);
  process.stderr.write(lines.map((line) => `${line}\n`).join(""));
}

function readOptions(given: InjectArguments): { readonly options: InjectOptions; readonly mistakes: readonly string[] } {
  const { namespace, trustDomain, image, folder, set = [] } = given;
  const mistakes: string[] = [];
  if (!isDnsLabel(namespace)) mistakes.push(`--namespace ${JSON.stringify(namespace)}: expected lower-case letters, digits and '-'`);
  if (!isTrustDomain(trustDomain)) mistakes.push(`--trust-domain ${JSON.stringify(trustDomain)}: expected a name like cluster.local`);
  if (image.trim() === "") mistakes.push("--image is empty");
  if (!/^[\w./@+ -]+$/.test(folder)) mistakes.push(`--folder ${JSON.stringify(folder)}: expected a path of letters, digits and ./_-`);
  const defaults = new Map<string, string>();
  for (const text of set) {
    const at = text.indexOf("=");
    const name = text.slice(0, Math.max(at, 0)).replace(SETTING_PREFIX, "");
    const mistake = at < 0 ? { message: "expected NAME=VALUE", hint: null } : settingMistake(name, text.slice(at + 1));
    if (mistake === null) defaults.set(name, text.slice(at + 1));
    else mistakes.push(`--set ${JSON.stringify(text)}: ${mistake.message}${mistake.hint === null ? "" : `; ${mistake.hint}`}`);
  }
  return { options: { namespace, trustDomain, image, defaults, folder: asPath(folder), tokenGroup: tokenGroup() }, mistakes };
}

/** As compose takes it for a path, and not for the name of a volume. */
export function asPath(folder: string): string {
  const bare = folder.replace(/\/+$/, "");
  return /^(?:\/|\.\.?(?:\/|$))/.test(bare) ? bare : `./${bare}`;
}

function fail(command: string, mistakes: readonly string[]): number {
  process.stderr.write(mistakes.map((mistake) => `weft ${command}: ${mistake}\n`).join(""));
  return FAILURE;
}
