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
const PROXY_ADMIN_PORT = 4191;
const IDENTITY_ADMIN_PORT = 8089;
export const PROXY_ADMIN: string = `127.0.0.1:${PROXY_ADMIN_PORT}`;
export const IDENTITY_ADMIN: string = `127.0.0.1:${IDENTITY_ADMIN_PORT}`;

/** Where to look when nothing is named. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The usual addresses on this host. */
  readonly proxyAdmin: string;
  readonly identityAdmin: string;
}

const HERE: Surroundings = { environment: process.env, proxyAdmin: PROXY_ADMIN, identityAdmin: IDENTITY_ADMIN };

/** Whether something listens on this host is known at once. */
const LOOK_MS = 2_000;

export type Gather = () => Promise<Mesh>;

type Refused = { readonly problems: readonly string[] };

/** How the mesh is gathered, or what is wrong with the options. */
export async function findMesh(options: MeshOptions, here: Surroundings = HERE): Promise<Gather | Refused> {
  const { admin = [], identityAdmin, data, project } = options;
  const problems: string[] = [];
  const proxies = admin.flatMap((text) => placeOf("--admin", text, problems));
  const component = identityAdmin === undefined ? [] : placeOf("--identity-admin", identityAdmin, problems);
  const isByAddress = admin.length > 0 || identityAdmin !== undefined || data !== undefined;
  if (project !== undefined && isByAddress)
    problems.push("--project finds proxies by itself: leave out --admin, --identity-admin and --data");
  if (problems.length > 0) return { problems };
  if (admin.length > 0) return async () => await byAddress(proxies, component[0] ?? null, data ?? null, here);
  if (isByAddress) return byUsualProxy(component[0] ?? null, data ?? null, here);
  const engine = await openEngine(here.environment);
  if ("engine" in engine) return await byEngine(engine.engine, project ?? null, here);
  if (project !== undefined) return { problems: [`--project ${project}: no container engine: ${engine.problem}`] };
  return byUsualPorts(here, "no container engine answers");
}

/** Containers with Weft's labels, else what is on this host. */
async function byEngine(engine: Engine, project: string | null, here: Surroundings): Promise<Gather | Refused> {
  if (project !== null) return async () => await containerMesh(engine, project);
  const projects = await engine.meshProjects();
  const running = projects.filter(({ runs }) => runs);
  // What has been stopped, or what podman leaves of a project that was taken down, does not hide the one that runs.
  const [only, ...others] = running.length > 0 ? running : projects;
  if (only === undefined) return byUsualPorts(here, "no container has Weft's labels");
  const leftOut = await optionsForHost(here);
  if (others.length > 0) {
    const names = [only, ...others].map(({ name }) => name).join(", ");
    const host = leftOut.length === 0 ? "" : `; what answers on this host is looked at with ${leftOut.join(" ")}`;
    return { problems: [`there are meshes of several compose projects (${names}): choose one with --project${host}`] };
  }
  const idle = projects.filter((project) => project !== only).map(({ name }) => JSON.stringify(name));
  return async () => {
    const mesh = await containerMesh(engine, only.name);
    return { ...mesh, leftOut, soughtIn: [mesh.soughtIn, ...idle.map((name) => `nothing runs of ${name}`)].join("; ") };
  };
}

interface NamedPlace {
  readonly name: string;
  readonly place: Place;
}

async function byAddress(
  proxies: readonly NamedPlace[],
  component: NamedPlace | null,
  data: string | null,
  { proxyAdmin }: Surroundings,
): Promise<Mesh> {
  const [reports, found] = await Promise.all([
    Promise.all(proxies.map(async ({ name, place }) => ({ name, report: await askProxy(place) }))),
    componentBy(component, data),
  ]);
  const proxiesSought = `at ${proxyAdmin}; name them with --admin HOST:PORT`;
  return { soughtIn: "what was named", proxiesSought, leftOut: [], proxies: reports, component: found, containers: null };
}

/** What it says itself; what its folder says, while it says nothing. */
async function componentBy(place: NamedPlace | null, data: string | null): Promise<Mesh["component"]> {
  const asked = place === null ? null : { name: place.name, report: await askComponent(place.place) };
  if (data === null || (asked !== null && asked.report.authority !== null)) return asked;
  const read = await readComponent(data);
  if (asked === null) return { name: data, report: read, folder: data };
  return { name: asked.name, report: { ...asked.report, authority: read.authority }, folder: data };
}

/** An identity component that was named, and the proxy of this host, when none was. */
function byUsualProxy(component: NamedPlace | null, data: string | null, here: Surroundings): Gather {
  const proxy = staying(here.proxyAdmin);
  return async () => {
    const mesh = await byAddress(await proxy(), component, data, here);
    return { ...mesh, soughtIn: `what was named, and ${here.proxyAdmin}` };
  };
}

/** `why`: what else was looked for in vain. */
function byUsualPorts(here: Surroundings, why: string): Gather {
  const proxy = staying(here.proxyAdmin);
  const identity = staying(here.identityAdmin);
  return async () => {
    const [proxies, [component = null]] = await Promise.all([proxy(), identity()]);
    const mesh = await byAddress(proxies, component, null, here);
    return { ...mesh, soughtIn: `${here.proxyAdmin} and ${here.identityAdmin} of this host; ${why}` };
  };
}

/** A place where something may listen. What did so once and is gone afterwards is missed, and not forgotten. */
function staying(text: string): () => Promise<NamedPlace[]> {
  let isKnown = false;
  return async () => {
    const places = usual(text);
    isKnown ||= await isThere(places[0]!.place);
    return isKnown ? places : [];
  };
}

/** How the usual places of this host are named, those where something answers. */
async function optionsForHost({ proxyAdmin, identityAdmin }: Surroundings): Promise<string[]> {
  const options: string[] = [];
  if (await isThere(usual(proxyAdmin)[0]!.place)) options.push(`--admin ${proxyAdmin}`);
  if (await isThere(usual(identityAdmin)[0]!.place)) options.push(`--identity-admin ${identityAdmin}`);
  return options;
}

function usual(text: string): NamedPlace[] {
  return placeOf("", text, []);
}

async function isThere(place: Place): Promise<boolean> {
  try {
    return (await ask(place, { path: "/live", deadlineMs: LOOK_MS })).status === 200;
  } catch {
    return false;
  }
}

function placeOf(option: string, text: string, problems: string[]): NamedPlace[] {
  const parsed = parseHostPort(text, "target", option === "--identity-admin" ? IDENTITY_ADMIN_PORT : PROXY_ADMIN_PORT);
  if ("ok" in parsed) return [{ name: text, place: parsed.ok }];
  const { message, hint } = parsed.mistake;
  problems.push(`${option} ${JSON.stringify(text)}: ${message}${hint === null ? "" : `; ${hint}`}`);
  return [];
}
