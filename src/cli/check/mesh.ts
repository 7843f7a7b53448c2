// The mesh that is checked, as far as it can be asked: proxies and an identity component by their admin ports, or those of a compose project
// through its engine. Gathered as a whole, and anew when something is waited for.

import { parseHostPort } from "../../config/address.ts";
import { ask, type Place } from "./ask.ts";
import { askComponent, readComponent } from "./ask-component.ts";
import { askProxy } from "./ask-proxy.ts";
import { containerMesh } from "./containers.ts";
import { type Engine, openEngine } from "./engine.ts";
import type { Mesh } from "./reports.ts";

/** Where the mesh is looked for. */
export interface MeshOptions {
  readonly admin?: readonly string[];
  readonly identityAdmin?: string;
  readonly data?: string;
  readonly project?: string;
}

/** Of a proxy and an identity component on this host, unless they are told otherwise. */
export const PROXY_ADMIN = "127.0.0.1:4191";
export const IDENTITY_ADMIN = "127.0.0.1:8089";

/** Whether something listens on this host is known at once. */
const LOOK_MS = 2_000;

export type Gather = () => Promise<Mesh>;

/** How the mesh is gathered, or what is wrong with the options. */
export async function findMesh(options: MeshOptions): Promise<Gather | { readonly problems: readonly string[] }> {
  const { admin = [], identityAdmin, data, project } = options;
  const problems: string[] = [];
  const proxies = admin.flatMap((text) => placeOf("--admin", text, problems));
  const component = identityAdmin === undefined ? [] : placeOf("--identity-admin", identityAdmin, problems);
  const isByAddress = admin.length > 0 || identityAdmin !== undefined || data !== undefined;
  if (project !== undefined && isByAddress)
    problems.push("--project finds proxies by itself: leave out --admin, --identity-admin and --data");
  if (problems.length > 0) return { problems };
  if (isByAddress) return async () => await byAddress(proxies, component[0] ?? null, data ?? null);
  const engine = await openEngine(process.env);
  if ("engine" in engine) return await byEngine(engine.engine, project ?? null);
  if (project !== undefined) return { problems: [`--project ${project}: no container engine: ${engine.problem}`] };
  return byUsualPorts;
}

/** Containers with Weft's labels, else what is on this host. */
async function byEngine(engine: Engine, project: string | null): Promise<Gather | { readonly problems: readonly string[] }> {
  const projects = await engine.meshProjects();
  if (project !== null) return async () => await containerMesh(engine, project);
  if (projects.length > 1) {
    return { problems: [`there are meshes of several compose projects (${projects.join(", ")}): choose one with --project`] };
  }
  const [only] = projects;
  return only === undefined ? byUsualPorts : async () => await containerMesh(engine, only);
}

interface NamedPlace {
  readonly name: string;
  readonly place: Place;
}

async function byAddress(proxies: readonly NamedPlace[], component: NamedPlace | null, data: string | null): Promise<Mesh> {
  const [reports, found] = await Promise.all([
    Promise.all(proxies.map(async ({ name, place }) => ({ name, report: await askProxy(place) }))),
    componentBy(component, data),
  ]);
  return { soughtIn: "what was named", proxies: reports, component: found, containers: null };
}

/** What it says itself; what its folder says, while it says nothing. */
async function componentBy(place: NamedPlace | null, data: string | null): Promise<Mesh["component"]> {
  const asked = place === null ? null : { name: place.name, report: await askComponent(place.place) };
  if (data === null || (asked !== null && asked.report.authority !== null)) return asked;
  const read = await readComponent(data);
  if (asked === null) return { name: data, report: read };
  return { name: asked.name, report: { ...asked.report, authority: read.authority } };
}

async function byUsualPorts(): Promise<Mesh> {
  const [proxy] = placeOf("", PROXY_ADMIN, []);
  const [identity] = placeOf("", IDENTITY_ADMIN, []);
  const [hasProxy, hasIdentity] = await Promise.all([isThere(proxy!.place), isThere(identity!.place)]);
  const mesh = await byAddress(hasProxy ? [proxy!] : [], hasIdentity ? identity! : null, null);
  return { ...mesh, soughtIn: `containers, ${PROXY_ADMIN} and ${IDENTITY_ADMIN}` };
}

async function isThere(place: Place): Promise<boolean> {
  try {
    return (await ask(place, { path: "/live", deadlineMs: LOOK_MS })).status === 200;
  } catch {
    return false;
  }
}

function placeOf(option: string, text: string, problems: string[]): NamedPlace[] {
  const parsed = parseHostPort(text, "target");
  if ("ok" in parsed) return [{ name: text, place: parsed.ok }];
  const { message, hint } = parsed.mistake;
  problems.push(`${option} ${JSON.stringify(text)}: ${message}${hint === null ? "" : `; ${hint}`}`);
  return [];
}
