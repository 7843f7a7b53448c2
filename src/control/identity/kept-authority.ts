// The authority whose keys are Weft's own: made on first start, kept in the data folder, rotated by core/identity/rotation.ts.
//
//   state.json                what signs, what is trusted, since when (RotationState)
//   root-ID.crt, root-ID.key, issuer-ID.crt, issuer-ID.key
//
// Order on disk: keys first, then the state that names them, then it is acted upon; what no state names is removed at start. So a power cut at any
// point leaves either the old state or the new one. One process at a time (data-lock.ts).

import { randomBytes, X509Certificate } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { WorkloadIdentity } from "../../core/identity/names.ts";
import {
  activateRoot,
  activeRoot,
  announceRoot,
  dropRoot,
  EMPTY_STATE,
  issuerEndMs,
  issuerOf,
  leafEndMs,
  nextRoot,
  nextStep,
  noteLeaf,
  replaceIssuer,
} from "../../core/identity/rotation.ts";
import type {
  IssuerState,
  RotationRequest,
  RotationSettings,
  RotationState,
  RotationStep,
  RootState,
} from "../../core/identity/rotation.ts";
import type { Authority, AuthorityStatus, Bundle, IdentityLog, Issued } from "./authority.ts";
import { FileProblem, readBounded, readPrivateFile, removePrivateFile, writePrivateFile } from "./private-files.ts";
import { Refusal } from "./refusal.ts";
import { parseRotationState } from "./rotation-file.ts";
import { fingerprintOf, isKeyOf, keyFromPem, keyToPem, makeIssuer, makeLeaf, makeRoot } from "./x509.ts";
import type { Signer } from "./x509.ts";

const STATE_FILE = "state.json";

/** Steps in one go: a rotation has four; more is a bug that must not spin. */
const STEPS_MAX = 16;

const ID_BYTES = 4;

/** The component's own certificate moves to the new root when less than this part of a leaf's life is left for it below the old one. */
const OWN_LIFE_MIN = 1 / 4;

export interface KeptAuthorityOptions {
  /** A private folder (openPrivateFolder), locked by this process. */
  readonly folder: string;
  readonly rotation: RotationSettings;
  readonly log: IdentityLog;
  readonly nowMs?: () => number;
  /** Somebody vouches for the clock, by which the root has ended: it leaves the bundle at once, not some time after the start. */
  readonly isClockSure?: boolean;
}

export class KeptAuthority implements Authority {
  onChange: () => void = () => {};
  readonly #folder: string;
  readonly #settings: RotationSettings;
  readonly #log: IdentityLog;
  readonly #nowMs: () => number;
  readonly #upSinceMs: number;
  /** By id, of roots and issuers. */
  readonly #signers = new Map<string, Signer>();
  #state: RotationState;
  #bundle: Bundle = { roots: [], version: 0, atMs: 0 };
  #work: Promise<unknown> = Promise.resolve();

  private constructor(
    { folder, rotation, log, nowMs = () => Date.now(), isClockSure = false }: KeptAuthorityOptions,
    state: RotationState,
  ) {
    this.#folder = folder;
    this.#settings = rotation;
    this.#log = log;
    this.#nowMs = nowMs;
    this.#upSinceMs = isClockSure ? 0 : nowMs();
    this.#state = state;
  }

  /** Reads the folder, and makes what is missing. Rejects with a FileProblem when it holds something that cannot be used. */
  static async open(options: KeptAuthorityOptions): Promise<KeptAuthority> {
    const authority = new KeptAuthority(options, readState(options.folder));
    await authority.#load();
    await authority.#advance(null);
    return authority;
  }

  get bundle(): Bundle {
    return this.#bundle;
  }

  get status(): AuthorityStatus {
    const active = activeRoot(this.#state);
    const issuer = active === null ? null : issuerOf(this.#state, active.id);
    return {
      kind: "kept",
      bundleVersion: this.#bundle.version,
      roots: this.#state.roots.map((root) => ({
        fingerprint: fingerprintOf(this.#signer(root.id).certificate),
        phase: root.retiredAtMs !== null ? "retired" : root.activatedAtMs !== null ? "active" : "announced",
        notAfterMs: root.notAfterMs,
        certificate: this.#signer(root.id).certificate.toString(),
      })),
      issuerNotAfterMs: issuer?.notAfterMs ?? 0,
      issuer: issuer === null ? "" : this.#signer(issuer.id).certificate.toString(),
    };
  }

  async issue(identity: WorkloadIdentity, publicKey: Uint8Array): Promise<Issued> {
    return await this.#sign(activeRoot(this.#state), identity, publicKey);
  }

  async issueOwn(identity: WorkloadIdentity, publicKey: Uint8Array): Promise<Issued> {
    const nowMs = this.#nowMs();
    // A retired root is dropped when the last leaf below it ends; this one must not make it stay.
    const earliestMs = nowMs + this.#settings.leafLifetimeMs * OWN_LIFE_MIN;
    const oldest = this.#state.roots.find(({ retiredAtMs, leavesEndMs }) => retiredAtMs !== null && leavesEndMs > earliestMs);
    return await this.#sign(oldest ?? activeRoot(this.#state), identity, publicKey, oldest?.leavesEndMs);
  }

  async #sign(
    root: RootState | null,
    identity: WorkloadIdentity,
    publicKey: Uint8Array,
    endMaxMs = Number.POSITIVE_INFINITY,
  ): Promise<Issued> {
    const nowMs = this.#nowMs();
    const issuer = root === null ? null : issuerOf(this.#state, root.id);
    if (root === null || issuer === null) throw new Refusal("WEFT_IDENTITY_NOT_READY");
    const notAfterMs = Math.min(leafEndMs(root, issuer, this.#settings, nowMs), endMaxMs);
    if (notAfterMs <= nowMs) throw new Refusal("WEFT_IDENTITY_NOT_READY", "the issuer has expired");
    if (nowMs < issuer.notBeforeMs)
      throw new Refusal("WEFT_IDENTITY_NOT_READY", "by this clock the issuer is not valid yet; check the clock");
    const noted = noteLeaf(this.#state, root.id, notAfterMs, this.#settings);
    if (noted !== this.#state) this.#keep(noted);
    const signer = this.#signer(issuer.id);
    const leaf = await makeLeaf(signer, identity, publicKey, { notBeforeMs: nowMs - this.#settings.skewMs, notAfterMs });
    return { leaf, intermediates: [signer.certificate], root: this.#signer(root.id).certificate, notAfterMs: Date.parse(leaf.validTo) };
  }

  async tick(): Promise<void> {
    try {
      await this.#advance(null);
    } catch (error) {
      this.#log("error", "rotation failed; it will be tried again", { error: (error as Error).message });
    }
  }

  async rotate(what: RotationRequest): Promise<string> {
    if (what === "root" && nextRoot(this.#state) !== null)
      throw new Error("a new root is being distributed already; it will sign when the propagation delay is over");
    const done = await this.#advance(what);
    if (what === "issuer") return "a new issuer signs from now on";
    if (!done.includes("make-root")) throw new Error("the bundle is full; wait until an old root has been dropped");
    return `a new root is being distributed; it will sign in ${Math.ceil(this.#settings.propagationMs / 1000)} s`;
  }

  /** Takes the steps that are due, one after the other, also when called twice at a time. */
  #advance(request: RotationRequest | null): Promise<readonly string[]> {
    const next = this.#work.then(async () => await this.#takeSteps(request));
    this.#work = next.catch(() => {});
    return next;
  }

  async #takeSteps(request: RotationRequest | null): Promise<readonly string[]> {
    const done: string[] = [];
    for (let wanted = request; done.length < STEPS_MAX; ) {
      const step = nextStep(this.#state, this.#settings, this.#nowMs(), this.#upSinceMs, wanted);
      if (step === null) break;
      if (step.do === `make-${wanted ?? ""}`) wanted = null;
      await this.#take(step);
      done.push(step.do);
    }
    if (done.length > 0) this.onChange();
    return done;
  }

  async #take(step: RotationStep): Promise<void> {
    const nowMs = this.#nowMs();
    if (step.do === "make-root") return await this.#makeRoot(nowMs, step.urgent);
    if (step.do === "drop-root") return this.#dropRoot(step.rootId, nowMs);
    const issuer = await this.#makeIssuer(step.rootId, nowMs);
    const replaced = issuerOf(this.#state, step.rootId);
    if (step.do === "activate-root") {
      this.#keep(activateRoot(this.#state, issuer, nowMs));
      const message =
        replaced === null ? "the new root signs from now on" : "the root before signs again: by this clock the newer one is not valid yet";
      this.#log(replaced === null ? "info" : "warn", message, { root: step.rootId });
    } else {
      this.#keep(replaceIssuer(this.#state, issuer));
      this.#log("info", "a new issuer signs from now on", { issuer: issuer.id, notAfter: new Date(issuer.notAfterMs).toISOString() });
    }
    if (replaced !== null) this.#forget("issuer", replaced.id);
  }

  async #makeRoot(nowMs: number, isUrgent: boolean): Promise<void> {
    const ended = isUrgent ? activeRoot(this.#state) : null;
    if (ended !== null) {
      const hint =
        "if this clock is wrong, set it right: the old root is still in the bundle and signs again then; if it is right, proxies need new tokens";
      this.#log("warn", `by this clock the root has ended: ${hint}`, {
        root: ended.id,
        notAfter: new Date(ended.notAfterMs).toISOString(),
        clock: new Date(nowMs).toISOString(),
      });
    }
    const id = randomBytes(ID_BYTES).toString("hex");
    const validity = wholeSeconds(nowMs - this.#settings.skewMs, nowMs + this.#settings.rootLifetimeMs);
    const signer = await makeRoot(id, validity);
    await this.#save("root", id, signer);
    this.#keep(announceRoot(this.#state, { id, ...validity }, nowMs));
    const message = isUrgent ? "a root was made; it signs at once, because nothing valid is there" : "a new root is in the bundle";
    this.#log("info", message, { root: id, fingerprint: fingerprintOf(signer.certificate), version: this.#state.version });
  }

  async #makeIssuer(rootId: string, nowMs: number): Promise<IssuerState> {
    const root = this.#state.roots.find(({ id }) => id === rootId)!;
    const id = randomBytes(ID_BYTES).toString("hex");
    const notBeforeMs = Math.max(nowMs - this.#settings.skewMs, root.notBeforeMs);
    const validity = wholeSeconds(notBeforeMs, issuerEndMs(root, this.#settings, nowMs));
    await this.#save("issuer", id, await makeIssuer(this.#signer(rootId), id, validity));
    return { id, rootId, ...validity };
  }

  #dropRoot(rootId: string, nowMs: number): void {
    const issuer = issuerOf(this.#state, rootId);
    this.#keep(dropRoot(this.#state, rootId, nowMs));
    this.#forget("root", rootId);
    if (issuer !== null) this.#forget("issuer", issuer.id);
    this.#log("info", "an old root has left the bundle: the last leaf below it has ended", { root: rootId, version: this.#state.version });
  }

  /** Makes the state durable, then current. */
  #keep(state: RotationState): void {
    writePrivateFile(join(this.#folder, STATE_FILE), `${JSON.stringify({ format: 1, ...state }, null, 2)}\n`);
    this.#state = state;
    if (state.version !== this.#bundle.version) this.#makeBundle();
  }

  #makeBundle(): void {
    const { roots, version, versionAtMs } = this.#state;
    this.#bundle = { roots: roots.map(({ id }) => this.#signer(id).certificate), version, atMs: versionAtMs };
  }

  async #save(kind: "root" | "issuer", id: string, signer: Signer): Promise<void> {
    const path = join(this.#folder, `${kind}-${id}`);
    writePrivateFile(`${path}.key`, await keyToPem(signer.key));
    writePrivateFile(`${path}.crt`, signer.certificate.toString());
    this.#signers.set(id, signer);
  }

  #forget(kind: "root" | "issuer", id: string): void {
    this.#signers.delete(id);
    for (const ending of ["key", "crt"]) removePrivateFile(join(this.#folder, `${kind}-${id}.${ending}`));
  }

  #signer(id: string): Signer {
    const signer = this.#signers.get(id);
    if (signer === undefined) throw new Error(`no signer ${id}`);
    return signer;
  }

  async #load(): Promise<void> {
    const named = new Set<string>();
    for (const [kind, parts] of [
      ["root", this.#state.roots],
      ["issuer", this.#state.issuers],
    ] as const) {
      for (const { id } of parts) {
        this.#signers.set(id, await readSigner(join(this.#folder, `${kind}-${id}`)));
        for (const ending of ["key", "crt"]) named.add(`${kind}-${id}.${ending}`);
      }
    }
    if (this.#state.version > 0) this.#makeBundle();
    for (const name of readdirSync(this.#folder)) {
      if (/^(root|issuer)-[0-9a-f]+\.(key|crt)(\.new)?$/.test(name) && !named.has(name)) removePrivateFile(join(this.#folder, name));
    }
  }
}

/** What state.json says; EMPTY_STATE without one. Throws a FileProblem when it is damaged. */
export function readState(folder: string): RotationState {
  const path = join(folder, STATE_FILE);
  let text: string;
  try {
    text = readPrivateFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return EMPTY_STATE;
  }
  const state = parseRotationState(text);
  if (state === null)
    throw new FileProblem(
      `${path} is damaged: restore it, or move the folder away to begin with a new root (every proxy then needs a new token)`,
    );
  return state;
}

async function readSigner(path: string): Promise<Signer> {
  try {
    const certificate = new X509Certificate(readBounded(`${path}.crt`));
    const pem = readPrivateFile(`${path}.key`);
    if (!isKeyOf(pem, certificate)) throw new FileProblem(`${path}.key is not the key of ${path}.crt`);
    return { certificate, key: await keyFromPem(pem) };
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(`${path}.crt and ${path}.key, which state.json names, cannot be read: ${(error as Error).message}`);
  }
}

/** Certificates have whole seconds: the state says what they say. */
function wholeSeconds(notBeforeMs: number, notAfterMs: number): { notBeforeMs: number; notAfterMs: number } {
  return { notBeforeMs: Math.floor(notBeforeMs / 1000) * 1000, notAfterMs: Math.floor(notAfterMs / 1000) * 1000 };
}
