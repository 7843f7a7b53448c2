// When roots and issuers take over from each other: a pure state machine. Times are milliseconds since 1970, handed in.
//
//   root:    (made) -> announced --propagation delay--> active --a successor is activated--> retired --last leaf ended--> dropped
//   issuer:  made below the active root, signs until two thirds of its life, is then replaced below the same root
//
// Invariants (test/core/identity/rotation.prop.test.ts): nothing is signed below a root that was not in the bundle for the whole
// propagation delay (unless nothing valid is left that could be trusted instead); no root leaves the bundle while a leaf below
// it may be valid; the bundle is never empty and never larger than ROOTS_MAX; its version only grows. A clock that was far ahead
// and has been corrected leaves a root or an issuer that is not valid yet: what was valid before it signs again.
// The caller makes keys and certificates, puts a new state on disk, and only then acts on it.

/** Roots in a bundle at most: two, and what quick rotations by hand leave behind. As many as a token pins. */
export const ROOTS_MAX = 8;

/** After a restart of the component, proxies have so long to fetch the bundle before a root that it announced earlier is used. */
export const RECONNECT_MS = 60_000;

/** After a start nothing leaves a bundle that has room for so long: the clock that says that it has ended may be wrong until somebody sets it. */
export const DROP_AFTER_UP_MS = 600_000;

/** Both a root and an issuer are replaced at this part of their life: a third is left for whatever goes wrong. */
const RENEW_AT = 2 / 3;

/** How far `leavesEndMs` runs ahead of the leaves, as a part of their life: so often, not for each leaf, the state is written. */
const LEAVES_AHEAD = 1 / 4;

export interface RotationSettings {
  readonly rootLifetimeMs: number;
  readonly issuerLifetimeMs: number;
  readonly leafLifetimeMs: number;
  /** Clocks may differ by so much: leaves begin that much earlier and end that much later, roots stay that much longer. */
  readonly skewMs: number;
  /** How long a new root is distributed before anything is signed below it. */
  readonly propagationMs: number;
}

export interface RootState {
  readonly id: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** In the bundle since. */
  readonly announcedAtMs: number;
  /** Signs since; null before. */
  readonly activatedAtMs: number | null;
  /** Signs no more since; null before. */
  readonly retiredAtMs: number | null;
  /** No leaf below it ends later. */
  readonly leavesEndMs: number;
}

export interface IssuerState {
  readonly id: string;
  readonly rootId: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface RotationState {
  /** Of the bundle; grows with each change of it. */
  readonly version: number;
  readonly versionAtMs: number;
  /** Oldest first; all of them are the bundle. */
  readonly roots: readonly RootState[];
  /** One per root that has signed: the newest. */
  readonly issuers: readonly IssuerState[];
}

export const EMPTY_STATE: RotationState = { version: 0, versionAtMs: 0, roots: [], issuers: [] };

/** What is to be done next. `make-root` with `urgent`: there is nothing valid to overlap with, so it signs at once. */
export type RotationStep =
  | { readonly do: "make-root"; readonly urgent: boolean }
  | { readonly do: "activate-root"; readonly rootId: string }
  | { readonly do: "make-issuer"; readonly rootId: string }
  | { readonly do: "drop-root"; readonly rootId: string };

/** What somebody asked for by hand. */
export type RotationRequest = "root" | "issuer";

/** The root that signs, null before the first. */
export function activeRoot(state: RotationState): RootState | null {
  return state.roots.find((root) => root.activatedAtMs !== null && root.retiredAtMs === null) ?? null;
}

/** The root that is announced and does not sign yet, null without one. */
export function nextRoot(state: RotationState): RootState | null {
  return state.roots.find((root) => root.activatedAtMs === null) ?? null;
}

/** The issuer below that root. */
export function issuerOf(state: RotationState, rootId: string): IssuerState | null {
  return state.issuers.find((issuer) => issuer.rootId === rootId) ?? null;
}

/**
 * The one thing to do now, null when everything is as it should be. Ask again after each step. `upSinceMs`: since when this
 * process serves the bundle. `request` counts as fulfilled when a step of its kind is returned.
 */
export function nextStep(
  state: RotationState,
  settings: RotationSettings,
  nowMs: number,
  upSinceMs: number,
  request: RotationRequest | null = null,
): RotationStep | null {
  const active = activeRoot(state);
  const next = nextRoot(state);
  const isOver = active === null || nowMs >= active.notAfterMs;
  const older = active !== null && nowMs < active.notBeforeMs ? validBefore(state, nowMs) : null;
  if (older !== null) return { do: "activate-root", rootId: older.id };
  if (next !== null && (isOver || mayActivate(next, settings, nowMs, upSinceMs))) return { do: "activate-root", rootId: next.id };
  const mayDrop = state.roots.length >= ROOTS_MAX || nowMs - upSinceMs >= Math.min(settings.propagationMs, DROP_AFTER_UP_MS);
  const gone = mayDrop ? state.roots.find((root) => root.retiredAtMs !== null && hasEnded(root, settings, nowMs)) : undefined;
  if (gone !== undefined) return { do: "drop-root", rootId: gone.id };
  if (active === null || isOver) return { do: "make-root", urgent: true };
  const wantsRoot = request === "root" || nowMs >= renewalMs(active);
  if (wantsRoot && next === null && state.roots.length < ROOTS_MAX) return { do: "make-root", urgent: false };
  return issuerStep(state, active, settings, nowMs, request);
}

function issuerStep(
  state: RotationState,
  active: RootState,
  settings: RotationSettings,
  nowMs: number,
  request: RotationRequest | null,
): RotationStep | null {
  const issuer = issuerOf(state, active.id);
  const isEarly = issuer !== null && nowMs < issuer.notBeforeMs && nowMs >= active.notBeforeMs;
  const isDue = issuer === null || isEarly || request === "issuer" || nowMs >= renewalMs(issuer);
  // Near the root's end a new issuer would end with the old one: nothing is won.
  const isLonger = issuer === null || isEarly || request === "issuer" || issuerEndMs(active, settings, nowMs) > issuer.notAfterMs;
  return isDue && isLonger ? { do: "make-issuer", rootId: active.id } : null;
}

/** The newest root of the bundle that has signed and is valid. */
function validBefore({ roots }: RotationState, nowMs: number): RootState | null {
  return roots.findLast((root) => root.retiredAtMs !== null && nowMs >= root.notBeforeMs && nowMs < root.notAfterMs) ?? null;
}

function mayActivate(next: RootState, settings: RotationSettings, nowMs: number, upSinceMs: number): boolean {
  return nowMs - next.announcedAtMs >= settings.propagationMs && nowMs - upSinceMs >= Math.min(settings.propagationMs, RECONNECT_MS);
}

function hasEnded(root: RootState, settings: RotationSettings, nowMs: number): boolean {
  return nowMs >= root.notAfterMs + settings.skewMs || nowMs > root.leavesEndMs + settings.skewMs;
}

function renewalMs({ notBeforeMs, notAfterMs }: { readonly notBeforeMs: number; readonly notAfterMs: number }): number {
  return notBeforeMs + (notAfterMs - notBeforeMs) * RENEW_AT;
}

/** When an issuer that is made now ends: never after its root. */
export function issuerEndMs(root: RootState, settings: RotationSettings, nowMs: number): number {
  return Math.min(nowMs + settings.issuerLifetimeMs, root.notAfterMs);
}

/** When a leaf that is signed now ends: never after its issuer, and never after its root. In whole seconds, as certificates have it. */
export function leafEndMs(root: RootState, issuer: IssuerState, settings: RotationSettings, nowMs: number): number {
  return Math.min(nextSecond(nowMs + settings.leafLifetimeMs + settings.skewMs), issuer.notAfterMs, root.notAfterMs);
}

function nextSecond(ms: number): number {
  return Math.ceil(ms / 1000) * 1000;
}

/** The state with a new root in the bundle, which signs nothing yet. */
export function announceRoot(
  state: RotationState,
  root: { readonly id: string; readonly notBeforeMs: number; readonly notAfterMs: number },
  nowMs: number,
): RotationState {
  const announced = { ...root, announcedAtMs: nowMs, activatedAtMs: null, retiredAtMs: null, leavesEndMs: 0 };
  return newVersion({ ...state, roots: [...state.roots, announced] }, nowMs);
}

/** The state in which that root signs, by this issuer, and the one before it signs no more. The bundle stays as it is. */
export function activateRoot(state: RotationState, issuer: IssuerState, nowMs: number): RotationState {
  const roots = state.roots.map((root) => {
    if (root.id === issuer.rootId) return { ...root, activatedAtMs: nowMs, retiredAtMs: null };
    return root.activatedAtMs !== null && root.retiredAtMs === null ? { ...root, retiredAtMs: nowMs } : root;
  });
  return { ...replaceIssuer(state, issuer), roots };
}

/** The state in which this issuer signs below its root, instead of the one before. */
export function replaceIssuer(state: RotationState, issuer: IssuerState): RotationState {
  return { ...state, issuers: [...state.issuers.filter(({ rootId }) => rootId !== issuer.rootId), issuer] };
}

/** The state without that root and its issuer. */
export function dropRoot(state: RotationState, rootId: string, nowMs: number): RotationState {
  const issuers = state.issuers.filter((issuer) => issuer.rootId !== rootId);
  return newVersion({ ...state, roots: state.roots.filter((root) => root.id !== rootId), issuers }, nowMs);
}

/**
 * The state that knows that a leaf below the root ends at `endMs`; the same object when it knew already. It must be on disk before the leaf is
 * given away. It runs ahead of the leaves, so that it changes a few times per leaf's life, however many leaves there are.
 */
export function noteLeaf(state: RotationState, rootId: string, endMs: number, settings: RotationSettings): RotationState {
  const root = state.roots.find(({ id }) => id === rootId);
  if (root === undefined || endMs <= root.leavesEndMs) return state;
  const leavesEndMs = Math.min(nextSecond(endMs + settings.leafLifetimeMs * LEAVES_AHEAD), root.notAfterMs);
  return { ...state, roots: state.roots.map((other) => (other.id === rootId ? { ...root, leavesEndMs } : other)) };
}

function newVersion(state: RotationState, nowMs: number): RotationState {
  return { ...state, version: state.version + 1, versionAtMs: nowMs };
}
