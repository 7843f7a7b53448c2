// An identity component, asked on its admin port, or known by its data folder alone: then it is up when a process holds the folder's lock.

import { connect } from "node:net";
import { join } from "node:path";
import { activeRoot, issuerOf } from "../../core/identity/rotation.ts";
import { FileProblem, readBounded, readPrivateFile } from "../../control/identity/private-files.ts";
import { parseRotationState } from "../../control/identity/rotation-file.ts";
import { parseMetrics } from "../demo/metrics-text.ts";
import { ask, type Place } from "./ask.ts";
import { clockOf, versionOf } from "./ask-proxy.ts";
import { splitPem } from "./certificates.ts";
import { type AuthorityFacts, type ComponentReport, isRecord, silentComponent } from "./reports.ts";

const OK = 200;

/** Never rejects: why there is no answer is in the report. */
export async function askComponent(place: Place): Promise<ComponentReport> {
  try {
    const ready = await ask(place, { path: "/ready" });
    const metrics = await ask(place, { path: "/metrics" });
    const status = await ask(place, { path: "/identity/status" });
    if (metrics.status !== OK || status.status === 404) return silentComponent("this is no admin port of an identity component");
    const samples = parseMetrics(metrics.body.toString("utf8"));
    const authority = status.status === OK ? authorityOf(JSON.parse(status.body.toString("utf8"))) : null;
    return {
      kind: "identity",
      problem: null,
      isReady: ready.status === OK,
      version: versionOf(samples),
      clock: clockOf(samples, metrics),
      authority,
    };
  } catch (error) {
    return silentComponent((error as Error).message);
  }
}

/** What its folder says. Never rejects. */
export async function readComponent(folder: string): Promise<ComponentReport> {
  try {
    const authority = readAuthority(folder);
    const isUp = await isHeld(join(folder, "lock.sock"));
    const problem = isUp ? null : `no process holds ${folder}`;
    return { kind: "identity", problem, isReady: isUp, version: null, clock: null, authority };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!(error instanceof FileProblem) && code === undefined) throw error;
    return silentComponent(code === "ENOENT" ? `${folder} is no data folder of an identity component` : (error as Error).message);
  }
}

/** The facts of /identity/status; null when it does not have them. */
function authorityOf(value: unknown): AuthorityFacts | null {
  if (!isRecord(value)) return null;
  const { kind, roots, issuer } = value;
  if (!Array.isArray(roots) || typeof issuer !== "string") return null;
  const anchors = roots.filter(isRecord).flatMap(({ certificate, phase }) => {
    return typeof certificate === "string" && typeof phase === "string" ? [{ certificate, phase }] : [];
  });
  return { rotatesItself: kind === "kept", anchors, issuer };
}

function readAuthority(folder: string): AuthorityFacts {
  const path = join(folder, "state.json");
  let text: string;
  try {
    text = readPrivateFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    // Root and issuer are given in files elsewhere: the folder has what is trusted, no more.
    const anchors = splitPem(readPrivateFile(join(folder, "bundle.pem"))).map((certificate) => ({ certificate, phase: "trusted" }));
    return { rotatesItself: false, anchors, issuer: "" };
  }
  const state = parseRotationState(text);
  if (state === null) throw new FileProblem(`${path} is damaged`);
  const active = activeRoot(state);
  const issuer = active === null ? null : issuerOf(state, active.id);
  return {
    rotatesItself: true,
    anchors: state.roots.map(({ id, activatedAtMs, retiredAtMs }) => ({
      certificate: readBounded(join(folder, `root-${id}.crt`)),
      phase: retiredAtMs !== null ? "retired" : activatedAtMs !== null ? "active" : "announced",
    })),
    issuer: issuer === null ? "" : readBounded(join(folder, `issuer-${issuer.id}.crt`)),
  };
}

/** True when a process listens at the socket that is the folder's lock. */
async function isHeld(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(path);
    const finish = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
  });
}
