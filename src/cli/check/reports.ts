// What is known of a mesh, its proxies and its identity component: the facts that the checks judge, as plain JSON, because in a container they are
// gathered by a `weft check --report` inside and read outside. What comes from there is checked like any input.

/** A clock beside this one. */
export interface ClockReading {
  /** How far it is ahead of the clock here; milliseconds. */
  readonly aheadMs: number;
  /** The reading is good to this, either way. */
  readonly uncertainMs: number;
}

export interface ProxyReport {
  readonly kind: "proxy";
  /** Null when it was asked; else why it could not be. */
  readonly problem: string | null;
  readonly isReady: boolean;
  readonly version: string | null;
  /** By its own clock, Unix milliseconds, with the bounds by the clock of whoever asked it. */
  readonly clock: ClockReading | null;
  /** What became of the last reload: true when it was refused. */
  readonly isReloadRefused: boolean;
  /** Null: it is in no mesh. */
  readonly identity: ProxyIdentityFacts | null;
}

/** By the proxy's own account; its clock judges the state. */
export interface ProxyIdentityFacts {
  readonly name: string | null;
  /** waiting, valid, ended */
  readonly state: string;
  /** It gets its certificate from an identity component, else from files. */
  readonly isCertified: boolean;
  /** Null: it has none yet. */
  readonly certificate: { readonly issuer: string; readonly fromMs: number; readonly toMs: number } | null;
  /** Fingerprints of the roots that it trusts: SHA-256, lower-case hexadecimal. */
  readonly anchors: readonly string[];
  /** Attempts in a row to get or renew it, since the last that worked. */
  readonly failedAttempts: number;
  readonly lastFailure: string | null;
}

export interface ComponentReport {
  readonly kind: "identity";
  readonly problem: string | null;
  readonly isReady: boolean;
  readonly version: string | null;
  readonly clock: ClockReading | null;
  readonly authority: AuthorityFacts | null;
}

/** What it signs with. */
export interface AuthorityFacts {
  /** It replaces issuer and root by itself; else they are given in files. */
  readonly rotatesItself: boolean;
  /** What proxies are to trust. */
  readonly anchors: readonly AnchorFacts[];
  /** The issuer that signs now, then what leads to a root; PEM. Empty: there is none, or it is not known. */
  readonly issuer: string;
}

export interface AnchorFacts {
  /** PEM. */
  readonly certificate: string;
  /** announced, active, retired; of given ones active, trusted. */
  readonly phase: string;
}

/** A container of a compose project that has one of Weft's parts. */
export interface ContainerState {
  readonly name: string;
  /** net, init, proxy, identity: its label weft.dev/part */
  readonly part: string;
  /** Of the application that it belongs to: its label weft.dev/service; empty without. */
  readonly service: string;
  /** As the engine has it: running, exited, restarting, created, dead... */
  readonly status: string;
  readonly exitCode: number;
  readonly restarts: number;
}

export interface NamedProxy {
  /** What people call it: its address, or its service. */
  readonly name: string;
  readonly report: ProxyReport;
}

export interface NamedComponent {
  readonly name: string;
  readonly report: ComponentReport;
  /** The folder that was read for what it signs with; absent when it said so itself. */
  readonly folder?: string;
}

export interface Mesh {
  /** Where it was looked for: said whether something was found or not. */
  readonly soughtIn: string;
  /** Where there was no proxy, and what to do about it; for whoever finds none. */
  readonly proxiesSought: string;
  /** What answers here and was not looked at, because a mesh was found elsewhere: the options that name it. */
  readonly leftOut: readonly string[];
  readonly proxies: readonly NamedProxy[];
  /** Null: none is known of. */
  readonly component: NamedComponent | null;
  /** Null: not looked for among containers. */
  readonly containers: readonly ContainerState[] | null;
}

/** A proxy that could not be asked. */
export function silentProxy(problem: string): ProxyReport {
  return {
    kind: "proxy",
    problem,
    isReady: false,
    version: null,
    clock: null,
    isReloadRefused: false,
    identity: null,
  };
}

/** An identity component that could not be asked. */
export function silentComponent(problem: string): ComponentReport {
  return { kind: "identity", problem, isReady: false, version: null, clock: null, authority: null };
}

export interface DatedReport {
  readonly report: ProxyReport | ComponentReport;
  /** Unix milliseconds where it was made. */
  readonly nowMs: number;
}

/** What a `weft check --report` printed; null for anything else. */
export function parseReport(text: string): DatedReport | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const { nowMs, report } = value;
  if (typeof nowMs !== "number" || !isRecord(report)) return null;
  const isKnown = (report["kind"] === "proxy" && isProxyReport(report)) || (report["kind"] === "identity" && isComponentReport(report));
  return isKnown ? (value as unknown as DatedReport) : null;
}

function isProxyReport(value: Record<string, unknown>): boolean {
  const { isReloadRefused, identity } = value;
  return isAnswer(value) && typeof isReloadRefused === "boolean" && (identity === null || isIdentity(identity));
}

function isIdentity(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { name, state, isCertified, certificate, anchors, failedAttempts, lastFailure } = value;
  return (
    isTextOrNull(name) &&
    typeof state === "string" &&
    typeof isCertified === "boolean" &&
    (certificate === null || isCertificate(certificate)) &&
    Array.isArray(anchors) &&
    anchors.every((anchor) => typeof anchor === "string") &&
    typeof failedAttempts === "number" &&
    isTextOrNull(lastFailure)
  );
}

function isCertificate(value: unknown): boolean {
  return isRecord(value) && typeof value["issuer"] === "string" && typeof value["fromMs"] === "number" && typeof value["toMs"] === "number";
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === "string";
}

function isComponentReport(value: Record<string, unknown>): boolean {
  const { authority } = value;
  return isAnswer(value) && (authority === null || isAuthority(authority));
}

/** What both have. */
function isAnswer({ problem, isReady, version, clock }: Record<string, unknown>): boolean {
  return (
    isTextOrNull(problem) &&
    typeof isReady === "boolean" &&
    isTextOrNull(version) &&
    (clock === null || (isRecord(clock) && typeof clock["aheadMs"] === "number" && typeof clock["uncertainMs"] === "number"))
  );
}

function isAuthority(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { rotatesItself, anchors, issuer } = value;
  return typeof rotatesItself === "boolean" && typeof issuer === "string" && Array.isArray(anchors) && anchors.every(isAnchor);
}

function isAnchor(value: unknown): boolean {
  return isRecord(value) && typeof value["certificate"] === "string" && typeof value["phase"] === "string";
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
