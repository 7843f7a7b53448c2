// Repairs a mesh in which everything has expired, from the identity component's data folder alone: no certificate has to be valid for it.
//
//   component   is it running? Then root and issuer are its own business, and tokens are made beside it
//   root        over: a new one, which signs at once. Still good: it stays, and so does every root that still is
//   issuer      over: a new one
//   bundle      bundle.pem, for people and commands
//   token       each file with a token of a workload: over, or pinned to roots that are gone: a new one in the same file
//
// Each step looks at what is there before it does anything, so that it can be run again, also after an interruption; what is good stays as
// it is. Order on disk as everywhere in the folder: keys, state, bundle, and tokens last, because a token is worth something only when its root is kept.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { X509Certificate } from "node:crypto";
import { activeRoot, issuerOf, nextRoot } from "../../core/identity/rotation.ts";
import type { RotationSettings, RotationState } from "../../core/identity/rotation.ts";
import { certificatesOf, isDataFolder, openDataFolder, readBundle, writeBundle } from "./data-folder.ts";
import type { MeshNames } from "./data-folder.ts";
import { lockFolder } from "./data-lock.ts";
import { KeptAuthority, readState } from "./kept-authority.ts";
import { FileProblem, readBounded } from "./private-files.ts";
import { renewTokens, workloadIdentities } from "./recover-tokens.ts";
import type { StepOutcome, TokenWork } from "./recover-tokens.ts";
import { DEFAULT_ROTATION } from "./token-maker.ts";
import { fingerprintOf, validityOf } from "./x509.ts";

export interface RecoverStep {
  readonly what: "component" | "root" | "issuer" | "bundle" | "token";
  /** Which one: a file, or what a root is called. */
  readonly subject: string;
  readonly outcome: StepOutcome;
  readonly text: string;
}

export interface RecoverOrder extends TokenWork {
  readonly data: string;
  /** Null: as long as the ones before. Milliseconds. */
  readonly rootLifetimeMs: number | null;
  readonly issuerLifetimeMs: number | null;
  /** Roots of an authority from outside, PEM; null: those of the folder. */
  readonly rootsFile: string | null;
  /** Says what would be done. */
  readonly isDryRun: boolean;
}

export interface Recovered {
  readonly names: MeshNames;
  readonly isRunning: boolean;
  readonly steps: readonly RecoverStep[];
}

/** Does it, and tells each step when it is done. Rejects with a FileProblem or a RangeError when it cannot go on. */
export async function recover(order: RecoverOrder, onStep: (step: RecoverStep) => void): Promise<Recovered> {
  const { data } = order;
  if (!isDataFolder(data)) throw new FileProblem(`${data} is no data folder of an identity component: it has no mesh.json`);
  const names = openDataFolder(data, {});
  const workloads = workloadIdentities(order, names);
  const steps: RecoverStep[] = [];
  const tell = (what: RecoverStep["what"], subject: string, outcome: StepOutcome, text: string): void => {
    const step = { what, subject, outcome, text };
    steps.push(step);
    onStep(step);
  };
  const unlock = await lockFolder(data);
  try {
    const isRunning = unlock === null;
    const isGiven = order.rootsFile !== null || (!existsSync(join(data, "state.json")) && existsSync(join(data, "given.json")));
    const running = "runs: root and issuer are renewed by itself, tokens are made beside it";
    const stopped = order.isDryRun ? "does not run" : "does not run, and cannot be started until this is done";
    tell("component", data, "unchanged", isRunning ? running : stopped);
    const roots = isGiven ? givenRoots(order, tell) : isRunning ? runningRoots(order, tell) : await keptRoots(order, tell);
    const place = { data, names, isRunning, isDryRun: order.isDryRun, roots };
    await renewTokens(order, workloads, place, (subject, outcome, text) => tell("token", subject, outcome, text));
    return { names, isRunning, steps };
  } finally {
    await unlock?.();
  }
}

type Tell = (what: RecoverStep["what"], subject: string, outcome: StepOutcome, text: string) => void;

/** Fingerprints of the roots that tokens must pin; null: not known before they are made (a dry run). */
type Pins = readonly string[] | null;

/** The roots of Weft's own authority, renewed where they are over. */
async function keptRoots(order: RecoverOrder, tell: Tell): Promise<Pins> {
  const { data, isDryRun } = order;
  const nowMs = Date.now();
  const before = readState(data);
  const root = activeRoot(before);
  const issuer = root === null ? null : issuerOf(before, root.id);
  if (root !== null && nowMs < root.notBeforeMs) {
    throw new FileProblem(
      `by this host's clock it is ${isoTime(nowMs)}, and the root is valid from ${isoTime(root.notBeforeMs)} on: the clock is wrong; set it right and run this again`,
    );
  }
  const isRootOver = root === null || nowMs >= root.notAfterMs;
  const isIssuerOver = isRootOver || issuer === null || nowMs >= issuer.notAfterMs;
  // One that was being distributed when the component stopped takes over, if it is good.
  const announced = nextRoot(before);
  const successor = isRootOver && announced !== null && nowMs < announced.notAfterMs ? announced : null;
  const rootSaid = root === null ? "there is none" : endText(root.notAfterMs, nowMs);
  const issuerSaid = issuer === null ? "there is none" : endText(issuer.notAfterMs, nowMs);
  if (isDryRun) {
    const next =
      successor === null ? "a new one, which signs at once" : `${rootName(successor.id)}, which is distributed already, signs from then on`;
    const isNewBundle = isRootOver && successor === null;
    tell("root", rootName(root?.id), isRootOver ? "planned" : "unchanged", isRootOver ? `${rootSaid}: ${next}` : rootSaid);
    tell("issuer", issuerName(issuer?.id), isIssuerOver ? "planned" : "unchanged", isIssuerOver ? `${issuerSaid}: a new one` : issuerSaid);
    tell(
      "bundle",
      join(data, "bundle.pem"),
      isRootOver ? "planned" : "unchanged",
      isRootOver ? "written anew" : "has the roots that are trusted",
    );
    return isNewBundle ? null : validRoots(readBundleOrNone(data), nowMs).map(fingerprintOf);
  }
  const authority = await KeptAuthority.open({
    folder: data,
    rotation: rotationOf(before, order),
    log: () => {},
    isClockSure: isRootOver,
  });
  const after = readState(data);
  const newRoot = activeRoot(after)!;
  const newIssuer = issuerOf(after, newRoot.id)!;
  const fingerprint = authority.status.roots.find(({ phase }) => phase === "active")!.fingerprint;
  const isNewRoot = newRoot.id !== root?.id;
  const isNewIssuer = newIssuer.id !== issuer?.id;
  const why = (id: string | undefined, said: string): string =>
    id === undefined ? "because there was none" : `because the one before (${id}) ${said}`;
  const rootDone = `${newRoot.id === successor?.id ? "was distributed already, and signs from now on" : "made"}, ${why(root?.id, rootSaid)}; `;
  const issuerDone = `made, ${why(issuer?.id, issuerSaid)}; `;
  const rootText = `${isNewRoot ? rootDone : ""}${endText(newRoot.notAfterMs, nowMs)}; SHA-256 ${fingerprint}`;
  tell("root", rootName(newRoot.id), isNewRoot ? "done" : "unchanged", rootText);
  tell(
    "issuer",
    issuerName(newIssuer.id),
    isNewIssuer ? "done" : "unchanged",
    `${isNewIssuer ? issuerDone : ""}${endText(newIssuer.notAfterMs, nowMs)}`,
  );
  const { roots } = authority.bundle;
  const laidDown = readBundleOrNone(data);
  const isSame = laidDown.map(fingerprintOf).join() === roots.map(fingerprintOf).join();
  if (!isSame) writeBundle(data, authority.bundle);
  const count = `${roots.length} ${roots.length === 1 ? "root" : "roots"}, version ${authority.bundle.version}`;
  tell("bundle", join(data, "bundle.pem"), isSame ? "unchanged" : "done", isSame ? count : `written: ${count}`);
  return validRoots(roots, nowMs).map(fingerprintOf);
}

/** A component that runs has written down what it trusts. */
function runningRoots({ data }: RecoverOrder, tell: Tell): Pins {
  const nowMs = Date.now();
  const roots = validRoots(readBundle(data) ?? [], nowMs);
  if (roots.length === 0) {
    throw new FileProblem(
      `the identity component of ${data} runs, and has no root that is valid now; its log says why (a clock that has jumped stops its rotation for ten minutes): stop it, and run this again`,
    );
  }
  for (const root of roots) tell("root", fingerprintOf(root), "unchanged", endText(validityOf(root).notAfterMs, nowMs));
  return roots.map(fingerprintOf);
}

/** Roots from outside: nothing here can renew them. */
function givenRoots({ data, rootsFile }: RecoverOrder, tell: Tell): Pins {
  const nowMs = Date.now();
  const path = rootsFile ?? join(data, "bundle.pem");
  const all = rootsFile === null ? (readBundle(data) ?? []) : certificatesOf(readGiven(rootsFile));
  const roots = validRoots(all, nowMs);
  if (roots.length === 0) {
    throw new FileProblem(
      `the root and the issuer of ${data} come from outside, and ${path} has no root that is valid now: put new ones into their files first, and name the roots with --roots FILE`,
    );
  }
  for (const root of roots) tell("root", fingerprintOf(root), "unchanged", `from outside; ${endText(validityOf(root).notAfterMs, nowMs)}`);
  tell("issuer", "", "unchanged", "from outside: the component refuses one that is over, and says so");
  return roots.map(fingerprintOf);
}

function readGiven(path: string): string {
  try {
    return readBounded(path);
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** A damaged copy is written anew. */
function readBundleOrNone(data: string): readonly X509Certificate[] {
  try {
    return readBundle(data) ?? [];
  } catch (error) {
    if (error instanceof FileProblem) return [];
    throw error;
  }
}

function validRoots(roots: readonly X509Certificate[], nowMs: number): X509Certificate[] {
  return roots.filter((root) => validityOf(root).notAfterMs > nowMs && validityOf(root).notBeforeMs <= nowMs);
}

/** A root takes twelve issuers if nothing says otherwise, as by default. */
const ISSUERS_PER_ROOT = 12;

/** Lives as those of the ones before: what the component was told is not in the folder. Its own settings count again for the next ones. */
function rotationOf(state: RotationState, { rootLifetimeMs, issuerLifetimeMs }: RecoverOrder): RotationSettings {
  const root = state.roots.at(-1);
  const issuer = state.issuers.at(-1);
  const skewMs =
    root === undefined ? DEFAULT_ROTATION.skewMs : Math.floor(Math.max(0, root.announcedAtMs - root.notBeforeMs) / 1000) * 1000;
  const rootMs =
    rootLifetimeMs ?? (root === undefined ? DEFAULT_ROTATION.rootLifetimeMs : wholeSeconds(root.notAfterMs - root.announcedAtMs));
  // The last one below a root may have been cut short by the root's end.
  const issuerMs =
    issuerLifetimeMs ??
    (issuer === undefined
      ? DEFAULT_ROTATION.issuerLifetimeMs
      : Math.max(wholeSeconds(issuer.notAfterMs - issuer.notBeforeMs) - skewMs, rootMs / ISSUERS_PER_ROOT));
  return { ...DEFAULT_ROTATION, skewMs, rootLifetimeMs: rootMs, issuerLifetimeMs: Math.min(issuerMs, rootMs) };
}

function wholeSeconds(ms: number): number {
  return Math.max(1_000, Math.ceil(ms / 1000) * 1000);
}

function rootName(id: string | undefined): string {
  return id === undefined ? "" : `weft root ${id}`;
}

function issuerName(id: string | undefined): string {
  return id === undefined ? "" : `weft issuer ${id}`;
}

function endText(notAfterMs: number, nowMs: number): string {
  return `${notAfterMs <= nowMs ? "ended at" : "good until"} ${isoTime(notAfterMs)}`;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
