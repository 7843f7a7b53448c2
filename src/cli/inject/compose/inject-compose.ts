// `weft inject` for compose files: every service behind a sidecar of its own, in a network namespace that a tiny holder owns.
//
// Text in, text out. Before anything is given back the output is read again: every service must say what was planned, and taking the marks back must give
// the input byte for byte; else there is no output.

import type { YAMLMap } from "yaml";
import type { Problem } from "../../../config/problem.ts";
import { Refusal } from "../../../config/yaml-documents.ts";
import { type Injection, type InjectOptions, type Outcome, refused, type Source, type TokenWorkload, unchanged } from "../injection.ts";
import { applyEdits, firstMark, hasMarks, takeBack } from "../marks.ts";
import { canonical, mapOf, plain, quoted, type Tree, valueAt, withKey, withoutKeys } from "../tree.ts";
import { pairOf } from "../yaml-source.ts";
import { type ComposeFile, type ComposeService, readCompose } from "./compose-file.ts";
import { changedServices, editsOf, type Wanted } from "./edit.ts";
import { meshedService, partServices } from "./parts.ts";
import { MESH_NETWORK, partsOf, planServices, PROXY_UID, secretOf, type ServicePlan } from "./plan.ts";
import { labelOf, SERVICE_LABEL } from "./settings.ts";
import { sidecarConfig } from "./sidecar-config.ts";

/** Keys that change for a meshed service, so that it cannot get them from a base any more. */
const CHANGED_KEYS = [
  "networks",
  "network_mode",
  "ports",
  "expose",
  "links",
  "external_links",
  "depends_on",
  "dns",
  "dns_search",
  "dns_opt",
].concat(["extra_hosts", "hostname", "domainname", "mac_address", "sysctls", "pid"]);

/** Linux takes 128 KiB for one variable, name and end included (MAX_ARG_STRLEN). */
const CONFIG_BYTES_MAX = 128 * 1024 - 64;

/** Injects the services of a compose file. */
export function injectCompose(source: Source, options: InjectOptions): Injection {
  if (!hasMarks(source.text)) return injectPlain(source, options);
  const current = readCompose(source);
  if ("problems" in current) return refused(current.problems);
  const original = originalOf(source, current.file);
  if ("mistake" in original) return refused([markProblem(source, original.mistake, original.mistakeLine)]);
  const again = injectPlain({ file: source.file, text: original.text }, options);
  if (again.text === null) return again;
  const done = new Set(current.file.services.map(({ effective }) => labelOf(effective, SERVICE_LABEL)));
  const isNew = again.outcomes.some(({ what, workload }) => what === "injected" && !done.has(nameIn(workload)));
  if (isNew) return again;
  const outcomes = again.outcomes.map(
    (outcome): Outcome => (outcome.what === "injected" ? { ...outcome, what: "skipped", reason: "it is injected already" } : outcome),
  );
  return { ...unchanged(source, outcomes, again.problems), workloads: again.workloads };
}

/** Gives back what a file was before. */
export function uninjectCompose(source: Source): Injection {
  const current = readCompose(source, false);
  if ("problems" in current) return refused(current.problems);
  const { services } = current.file;
  const meshed = new Set(services.map(({ effective }) => labelOf(effective, SERVICE_LABEL)));
  if (!hasMarks(source.text)) {
    const part = services.find(({ effective }) => labelOf(effective, SERVICE_LABEL) !== null);
    const message = "this was injected, but the marks (#weft lines) are gone: another program has written it anew";
    if (part !== undefined)
      return refused([
        current.file.yaml.problemAt(part.pair.key, "error", message, "use the file that weft inject was given, or its output as it was"),
      ]);
    return unchanged(
      source,
      services.map(({ name }) => outcome(name, "skipped", "it is not injected")),
    );
  }
  const original = originalOf(source, current.file);
  if ("mistake" in original) return refused([markProblem(source, original.mistake, original.mistakeLine)]);
  const before = readCompose({ file: source.file, text: original.text }, false);
  if ("problems" in before) return refused(before.problems);
  const left = before.file.services.find(({ effective }) => labelOf(effective, SERVICE_LABEL) !== null);
  if (left !== undefined) {
    const message = `${left.name} was made by weft inject, but stands outside of its marks (#weft+begin and #weft+end)`;
    return refused([{ ...markProblem(source, message, 0), line: 0, column: 0 }]);
  }
  const outcomes = before.file.services.map(({ name }) =>
    meshed.has(name) ? outcome(name, "uninjected", null) : outcome(name, "skipped", "it is not injected"),
  );
  return { text: original.text, outcomes, problems: [], workloads: [], notes: [] };
}

/** What was there before. Lines like marks in a file of which nothing is Weft's are the file's own: they are not taken away. */
function originalOf(source: Source, { services }: ComposeFile): ReturnType<typeof takeBack> {
  if (services.some(({ effective }) => labelOf(effective, SERVICE_LABEL) !== null)) return takeBack(source.text);
  return { mistake: "this line looks like a mark of weft inject, but no service here is injected", mistakeLine: firstMark(source.text) };
}

function injectPlain(source: Source, options: InjectOptions): Injection {
  const read = readCompose(source);
  if ("problems" in read) return refused(read.problems);
  const { file } = read;
  const problems: Problem[] = [];
  try {
    const plans = planServices(file, options, problems);
    if (problems.some(({ severity }) => severity === "error")) return refused(problems);
    const meshed = plans.filter(({ skipped }) => skipped === null);
    const outcomes = plans.map(({ service, skipped }) => outcome(service.name, skipped === null ? "injected" : "skipped", skipped));
    if (meshed.length === 0) {
      const isWanted = plans.every((plan) => plan.isWanted);
      return isWanted ? unchanged(source, outcomes, problems) : refused(problems, outcomes);
    }
    const text = inject(file, plans, options);
    checkOutput(file, text);
    const notes = meshed.filter(({ ports }) => ports.length === 0).map(({ service }) => noteOnPorts(service));
    warnOfIncludes(file, problems);
    return { text, outcomes, problems, workloads: meshed.map(tokenWorkload), notes };
  } catch (reason) {
    if (!(reason instanceof Refusal)) throw reason;
    return refused([...problems, file.yaml.problemAt(reason.offset, "error", reason.message, reason.hint)]);
  }
}

function inject(file: ComposeFile, plans: readonly ServicePlan[], options: InjectOptions): string {
  const meshed = plans.filter(({ skipped }) => skipped === null);
  let changed = new Set(meshed.map(({ service }) => service.name));
  let services = wantedServices(plans, changed);
  // Each round finds at least one more service, or is the last.
  for (let round = 0; round <= plans.length; round++) {
    const found = new Set([...changed, ...changedServices(file, services, changed)]);
    if (found.size === changed.size) break;
    changed = found;
    services = wantedServices(plans, changed);
  }
  const wanted = withParts(file, services, plans, options);
  const text = applyEdits(file.yaml.source.text, editsOf(file, wanted, changed));
  checkServices({ file: file.yaml.source.file, text }, wanted);
  return text;
}

function withParts(
  file: ComposeFile,
  services: ReadonlyMap<string, YAMLMap>,
  plans: readonly ServicePlan[],
  options: InjectOptions,
): Wanted {
  const meshed = plans.filter(({ skipped }) => skipped === null);
  const newServices: Record<string, Tree> = {};
  const newSecrets: Record<string, Tree> = {};
  for (const plan of meshed) {
    const config = sidecarConfig(file, plan, plans, options);
    if (Buffer.byteLength(config) > CONFIG_BYTES_MAX) {
      const message = `service "${plan.service.name}": its sidecar would need more than the ${CONFIG_BYTES_MAX} bytes of configuration that an environment variable holds`;
      throw new Refusal(offsetOf(plan.service), message, "give services networks of their own: a sidecar knows those of its own networks");
    }
    Object.assign(newServices, partServices(plan, plans, config, options));
    newSecrets[secretOf(plan)] = mapOf({ file: quoted(`${options.folder}/tokens/${options.namespace}.${plan.meshName}.token`) });
  }
  const hasNetwork = valueAt(file.networks, MESH_NETWORK) !== null;
  // Internal: a service without a way out must not get one by this network.
  const newNetworks = hasNetwork ? {} : { [MESH_NETWORK]: mapOf({ internal: plain(true) }) };
  return { services, newServices, newNetworks, newSecrets };
}

function wantedServices(plans: readonly ServicePlan[], changed: ReadonlySet<string>): Map<string, YAMLMap> {
  const isMeshed = (name: string): boolean => plans.some((plan) => plan.service.name === name && plan.skipped === null);
  return new Map(
    plans.map((plan) => {
      const { service, skipped, joins } = plan;
      const from = startOf(service, changed, skipped === null);
      if (skipped === null) return [service.name, meshedService(from, plan)];
      return [
        service.name,
        joins !== null && isMeshed(joins) ? withKey(from, "network_mode", quoted(`service:${partsOf(joins).net}`)) : from,
      ];
    }),
  );
}

/** The service as it is written; with its base written out where that changes, or brings what a meshed service must not have. */
function startOf(service: ComposeService, changed: ReadonlySet<string>, isMeshed: boolean): YAMLMap {
  const { base, written, effective, name } = service;
  if (base === null) return written;
  const own = withoutKeys(written, ["extends"]);
  const isTouched = CHANGED_KEYS.some((key) => canonical(valueAt(effective, key)) !== canonical(valueAt(own, key)));
  if (!(isMeshed && isTouched) && !(base.localBase !== null && changed.has(base.localBase))) return written;
  if (base.movedPaths.length > 0) {
    const message = `service "${name}": its base is in another folder and must be written out, with paths that mean something else there (${base.movedPaths.join(", ")})`;
    throw new Refusal(
      offsetOf(service),
      message,
      "let the base bring no ports, networks or depends_on, or set linkerd.io/inject: disabled",
    );
  }
  return effective;
}

function offsetOf({ pair }: ComposeService): number {
  return (pair.key as { range?: readonly number[] | null }).range?.[0] ?? 0;
}

/** The output must say what was planned. */
function checkServices(source: Source, { services, newServices, newNetworks, newSecrets }: Wanted): void {
  const output = readCompose(source, false);
  if ("problems" in output) throw cannotWrite(`line ${output.problems[0]?.line}: ${output.problems[0]?.message}`);
  const { file } = output;
  const found = new Map(file.services.map((service) => [service.name, service.written]));
  if (found.size !== services.size + Object.keys(newServices).length) throw cannotWrite("the number of services");
  for (const [name, wanted] of [...services, ...Object.entries(newServices)])
    if (canonical(found.get(name)) !== canonical(wanted)) throw cannotWrite(`service ${name}`);
  for (const [name, entries] of [
    ["networks", newNetworks],
    ["secrets", newSecrets],
  ] as const) {
    const pair = pairOf(file.root, name);
    const map = pair === null ? null : file.expander.expand(pair.value);
    for (const [key, wanted] of Object.entries(entries))
      if (canonical(valueAt(map, key)) !== canonical(wanted)) throw cannotWrite(`${name}.${key}`);
  }
}

function checkOutput(file: ComposeFile, text: string): void {
  const back = takeBack(text);
  if (!("text" in back) || back.text !== file.yaml.source.text) throw cannotWrite("the original");
}

function cannotWrite(what: string): Refusal {
  return new Refusal(
    0,
    `this file is written in a way that Weft cannot edit (${what} would not come out right)`,
    "please write it more simply, without anchors across services",
  );
}

function warnOfIncludes({ root, yaml }: ComposeFile, problems: Problem[]): void {
  const include = pairOf(root, "include");
  if (include !== null)
    problems.push(
      yaml.problemAt(include.key, "warning", "services of included files are not injected", "give those files to weft inject as well"),
    );
}

function tokenWorkload({ meshName, settings }: ServicePlan): TokenWorkload {
  return { name: meshName, uid: Number(settings.get("proxy-uid") ?? PROXY_UID) };
}

function noteOnPorts({ name }: ComposeService): string {
  return `service "${name}": nobody knows its ports, so calls to it go without the mesh; name them in expose`;
}

function outcome(name: string, what: Outcome["what"], reason: string | null): Outcome {
  return { workload: `service "${name}"`, what, reason };
}

function nameIn(workload: string): string {
  return /"(.*)"/.exec(workload)?.[1] ?? workload;
}

function markProblem({ file }: Source, message: string, line: number): Problem {
  return { file, line: line + 1, column: 1, severity: "error", message, hint: "use the file that weft inject was given" };
}
