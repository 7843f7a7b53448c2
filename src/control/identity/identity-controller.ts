// The identity component as a whole: data folder, authority, certificates for itself, gRPC, admin port, and the clock that drives it.

import { join } from "node:path";
import { createAdminServer } from "../../admin/create-admin-server.ts";
import type { AdminServer } from "../../admin/admin-server.ts";
import type { HostPort } from "../../config/snapshot.ts";
import type { RotationSettings } from "../../core/identity/rotation.ts";
import { throttled } from "../log.ts";
import { adminRoutes } from "./admin-routes.ts";
import type { Authority, IdentityLog } from "./authority.ts";
import { Certifier } from "./certifier.ts";
import { openAdminSecret, openDataFolder, ownIdentity, writeBundle } from "./data-folder.ts";
import type { MeshNames } from "./data-folder.ts";
import { lockFolder } from "./data-lock.ts";
import { GivenAuthority } from "./given-authority.ts";
import type { GivenFiles } from "./given-authority.ts";
import { IdentityServer } from "./identity-server.ts";
import { JoinTokens } from "./join-tokens.ts";
import { KeptAuthority } from "./kept-authority.ts";
import { IdentityMetrics } from "./metrics.ts";
import { OwnCertificate } from "./own-certificate.ts";
import { FileProblem } from "./private-files.ts";
import { ServiceAccountTokens } from "./service-account-tokens.ts";
import type { ServiceAccountSettings } from "./service-account-tokens.ts";
import { UsedTokens } from "./used-tokens.ts";

export interface ControllerSettings {
  readonly data: string;
  readonly names: Partial<MeshNames>;
  readonly listen: HostPort;
  /** Null for none. */
  readonly admin: HostPort | null;
  readonly rotation: RotationSettings;
  /** Null: the root is Weft's own. */
  readonly given: GivenFiles | null;
  /** Null: join tokens only. */
  readonly serviceAccounts: ServiceAccountSettings | null;
  readonly version: string;
  /** How often idle connections are looked at, and how long a request may take: for tests that are in a hurry. */
  readonly hurry?: { readonly sweepMs: number; readonly requestMs: number };
}

/** How often what is due is looked for: a fortieth of the shortest life, within these. */
const TICK_MIN_MS = 50;
const TICK_MAX_MS = 5_000;
const TICKS_PER_LIFE = 40;

/** A wall clock that differs by more from the monotonic one since the last tick has jumped. */
const JUMP_MS = 5_000;

/** After a jump of so much nothing is rotated for a while: a clock that is wrong for a minute must not replace a root that it takes for expired. */
const HOLD_JUMP_MS = 3_600_000;
const HOLD_MS = 600_000;

interface Parts {
  readonly names: MeshNames;
  readonly authority: Authority;
  readonly joinTokens: JoinTokens;
  readonly usedTokens: UsedTokens;
  readonly own: OwnCertificate;
  readonly server: IdentityServer;
  readonly metrics: IdentityMetrics;
  readonly unlock: () => Promise<void>;
}

export class IdentityController {
  readonly #settings: ControllerSettings;
  readonly #log: IdentityLog;
  readonly #parts: Parts;
  readonly #timer: NodeJS.Timeout;
  #admin: AdminServer | null = null;
  #port = 0;
  #adminPort = 0;
  #isListening = false;
  #isTicking = false;
  #following: Promise<void> = Promise.resolve();
  #writtenVersion = 0;
  #heldUntilMs = 0;
  #closing: Promise<void> | null = null;
  #clock = { wallMs: Date.now(), monotonicMs: performance.now() };

  private constructor(settings: ControllerSettings, log: IdentityLog, parts: Parts) {
    this.#settings = settings;
    this.#log = log;
    this.#parts = parts;
    parts.authority.onChange = () => this.#follow();
    const { leafLifetimeMs, propagationMs, issuerLifetimeMs } = settings.rotation;
    const shortestMs = Math.min(leafLifetimeMs, Math.max(propagationMs, 1), issuerLifetimeMs);
    const tickMs = Math.min(TICK_MAX_MS, Math.max(TICK_MIN_MS, shortestMs / TICKS_PER_LIFE));
    this.#timer = setInterval(() => void this.#tick(), tickMs);
  }

  /** Starts everything; resolves when it serves. Rejects with a FileProblem or an Error whose message says what to do. */
  static async start(settings: ControllerSettings, log: IdentityLog): Promise<IdentityController> {
    const names = openDataFolder(settings.data, settings.names);
    const unlock = await lockFolder(settings.data);
    if (unlock === null) throw new FileProblem(`${settings.data} is used by another identity component: a folder serves one at a time`);
    try {
      const controller = new IdentityController(settings, log, await openParts(settings, names, unlock, log));
      try {
        await controller.#listen();
        return controller;
      } catch (error) {
        await controller.close();
        throw error;
      }
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** Of gRPC. */
  get port(): number {
    return this.#port;
  }

  /** 0 without an admin port. */
  get adminPort(): number {
    return this.#adminPort;
  }

  get isReady(): boolean {
    const nowMs = Date.now();
    const { own, authority } = this.#parts;
    return this.#isListening && own.notAfterMs > nowMs && authority.status.issuerNotAfterMs > nowMs;
  }

  /** Closed once, however often it is called: a start that fails closes, and so may who started it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#isListening = false;
    await this.#admin?.close();
    await this.#parts.server.close();
    await this.#parts.usedTokens.close();
    await this.#parts.unlock();
  }

  async #listen(): Promise<void> {
    const { listen, admin, data } = this.#settings;
    const { bundle } = this.#parts.authority;
    writeBundle(data, bundle);
    this.#writtenVersion = bundle.version;
    this.#port = await this.#parts.server.listen(listen.host, listen.port);
    this.#isListening = true;
    if (admin !== null) await this.#listenAdmin(admin, data);
    const { trustDomain } = this.#parts.names;
    this.#log("info", "the identity component serves", { host: listen.host, port: this.#port, adminPort: this.#adminPort, trustDomain });
  }

  async #listenAdmin({ host, port }: HostPort, data: string): Promise<void> {
    const { names, authority, joinTokens, metrics } = this.#parts;
    this.#admin = await createAdminServer({
      onError: (error) => this.#log("error", "the admin port failed", { error: (error as Error).stack ?? String(error) }),
    });
    const isReady = (): boolean => this.isReady;
    adminRoutes(this.#admin, { names, authority, joinTokens, metrics, isReady, secret: openAdminSecret(data), log: this.#log });
    this.#adminPort = await this.#admin.listen(host, port);
  }

  async #tick(): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    this.#noteClock();
    if (performance.now() >= this.#heldUntilMs) await this.#parts.authority.tick();
    this.#follow();
    await this.#following;
    this.#isTicking = false;
  }

  #noteClock(): void {
    const now = { wallMs: Date.now(), monotonicMs: performance.now() };
    const jumpMs = now.wallMs - this.#clock.wallMs - (now.monotonicMs - this.#clock.monotonicMs);
    this.#clock = now;
    if (Math.abs(jumpMs) < JUMP_MS) return;
    const isHeld = Math.abs(jumpMs) >= HOLD_JUMP_MS;
    if (isHeld) this.#heldUntilMs = now.monotonicMs + HOLD_MS;
    const message = "the clock has jumped: certificates are judged by it, check it against another";
    this.#log("warn", message, { seconds: Math.round(jumpMs / 1000), nothingRotatesForSeconds: isHeld ? HOLD_MS / 1000 : 0 });
  }

  /** Brings what depends on the authority up to date, one time after the other. Never rejects. */
  #follow(): void {
    this.#following = this.#following.then(async () => {
      try {
        await this.#takeOver();
      } catch (error) {
        this.#parts.metrics.countFailure();
        this.#log("error", "the component could not follow its authority; it will be tried again", { error: (error as Error).message });
      }
    });
  }

  async #takeOver(): Promise<void> {
    const { authority, own, server } = this.#parts;
    const { bundle } = authority;
    if (bundle.version !== this.#writtenVersion) {
      writeBundle(this.#settings.data, bundle);
      this.#writtenVersion = bundle.version;
    }
    const tls = await own.refresh(Date.now());
    if (tls !== null) server.setTls(tls);
    if (server.publish(bundle)) this.#log("info", "the trust bundle has changed", { version: bundle.version, roots: bundle.roots.length });
  }
}

async function openParts(settings: ControllerSettings, names: MeshNames, unlock: () => Promise<void>, log: IdentityLog): Promise<Parts> {
  const { data, rotation, given, serviceAccounts, version } = settings;
  const { leafLifetimeMs, skewMs } = rotation;
  const identity = ownIdentity(names);
  const trusted = serviceAccounts === null ? null : new ServiceAccountTokens(serviceAccounts);
  const authority =
    given === null
      ? await KeptAuthority.open({ folder: data, rotation, log })
      : await GivenAuthority.open({ files: given, folder: data, leafLifetimeMs, skewMs, log });
  const joinTokens = await JoinTokens.open(data, names.trustDomain);
  const usedTokens = new UsedTokens(join(data, "used-tokens"));
  const certifier = new Certifier({
    authority,
    own: identity,
    joinTokens,
    usedTokens,
    serviceAccounts: trusted,
    toleranceS: skewMs / 1000,
  });
  const own = new OwnCertificate(authority, identity);
  const tls = await own.refresh(Date.now());
  const refusals = throttled(log);
  const metrics = new IdentityMetrics(version);
  const server = new IdentityServer(certifier, tls!, authority.bundle, names.controlNamespace, {
    onIssued: (name, notAfterMs, by, remote) => {
      metrics.countIssued(by);
      log("debug", "a certificate was issued", { identity: name, notAfter: new Date(notAfterMs).toISOString(), by, remote });
    },
    onRefused: (code, message, name, remote) => {
      metrics.countRefused(code);
      refusals("warn", "a request was refused", { code, reason: message, identity: JSON.stringify(name.slice(0, 253)), remote });
    },
    log,
    ...settings.hurry,
  });
  metrics.watch({ authority, own, server, usedTokens });
  return { names, authority, joinTokens, usedTokens, own, server, metrics, unlock };
}
