// The main thread of a proxy: configuration, names, listeners, workers, metrics, admin port, logs, and their order.
//
//   start    load the configuration; open the listeners; begin the workers and the first lookups; accept; admin; ready
//   run      reloads, addresses that move, replaced workers
//   end      SIGTERM, SIGINT or POST /shutdown: drain (drain.ts); a second one cuts at once; exit code 0
//
// What cannot be started says what to do and ends: a mistake in the configuration with exit code 64, a port that is taken with 1.
// An exception that nobody caught on this thread ends the process: half a supervisor is worse than none.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { getSystemErrorName } from "node:util";
import type { AdminServer } from "../admin/admin-server.ts";
import { createAdminServer } from "../admin/create-admin-server.ts";
import { proxyRoutes } from "../admin/proxy-routes.ts";
import { formatHostPort } from "../config/address.ts";
import type { ConfigOverrides, ConfigSource, SourceFile } from "../config/config-source.ts";
import { loadInWorker } from "../config/load-in-worker.ts";
import { BAD_CONFIGURATION, formatProblem } from "../config/problem.ts";
import type { HostPort, ListenerSnapshot, MeshIdentity, ProxySnapshot, WorkerUpdate } from "../config/snapshot.ts";
import { type ConfigWatch, watchConfig } from "../config/watch.ts";
import { FileWatch } from "../config/watch-files.ts";
import { MetricStore } from "../core/telemetry/merge.ts";
import { Acceptor, type Placement } from "./acceptor.ts";
import { adminSource } from "./admin-source.ts";
import { Reloader } from "./config-reload.ts";
import { ConfigState } from "./config-state.ts";
import type { ProxyDirector } from "./director.ts";
import { drainProxy } from "./drain.ts";
import { IdentityError } from "./identity/identity-failure.ts";
import { ProxyIdentity } from "./identity/proxy-identity.ts";
import { isListenError, ListenError } from "./listen-error.ts";
import { GatheredLog, Logger } from "./log.ts";
import { reloadSummary } from "./reload-summary.ts";
import { Resolver } from "./resolver.ts";
import { SupervisorMetrics } from "./supervisor-metrics.ts";
import { TicketKeys } from "./ticket-keys.ts";
import { hasTestHooks, testDnsServer, testRoutes } from "./test-hooks.ts";
import { InlineWorker } from "./worker-inline.ts";
import { siblingModule } from "./worker-module.ts";
import { WorkerPool } from "./worker-pool.ts";
import type { WorkerSet, WorkerSetOptions } from "./worker-set.ts";

/** A start waits so long for the first answers of DNS; a reload too. Names that answer later follow later. */
const FIRST_LOOKUPS_MS = 200;

export interface RunProxyOptions {
  /** A file or folder; watched. */
  readonly configPath?: string | null;
  /** The YAML itself, from the environment. */
  readonly configText?: string | null;
  /** Made of command line flags; then nothing is loaded or watched. */
  readonly snapshot?: ProxySnapshot | null;
  /** Selects one of several Proxy documents. */
  readonly proxyName?: string | null;
  readonly overrides?: ConfigOverrides;
  /** Who else may end it, and wants to know when it is ready. */
  readonly director?: ProxyDirector;
  /** Module with `createForwarder`; for tests of the threads. */
  readonly forwarderModule?: string;
}

/** Runs a proxy until it is told to stop. Resolves to the exit code: 0 after a drain, 64 for a bad configuration, 1 when it could not start. */
export async function runProxy(options: RunProxyOptions): Promise<number> {
  const source = sourceOf(options);
  let snapshot = options.snapshot ?? null;
  let files: readonly SourceFile[] = [];
  if (snapshot === null) {
    const result = await loadInWorker(source);
    if ("problems" in result) {
      process.stderr.write(result.problems.map((problem) => `${formatProblem(problem)}\n`).join(""));
      return BAD_CONFIGURATION;
    }
    snapshot = result.snapshot;
    files = result.files;
    for (const warning of result.warnings) process.stderr.write(`${formatProblem(warning)}\n`);
  }
  const supervisor = new Supervisor(snapshot, options.forwarderModule ?? siblingModule("forwarder"), options.director ?? null);
  try {
    if (!(await supervisor.start())) return 0;
  } catch (error) {
    if (!isListenError(error) && !(error instanceof IdentityError)) throw error;
    process.stderr.write(`weft proxy: ${error.message}\n`);
    await supervisor.abandon();
    return 1;
  }
  if (options.snapshot === undefined || options.snapshot === null) supervisor.watch(source, files);
  return await supervisor.untilStopped();
}

function sourceOf({ configPath, configText, proxyName, overrides }: RunProxyOptions): ConfigSource {
  return { path: configPath ?? null, text: configText ?? null, proxyName: proxyName ?? null, ...(overrides && { overrides }) };
}

class Supervisor {
  readonly #logger: Logger;
  readonly #store = new MetricStore();
  readonly #metrics = new SupervisorMetrics(this.#store);
  readonly #initial: ProxySnapshot;
  readonly #acceptor: Acceptor;
  readonly #resolver: Resolver;
  readonly #workers: WorkerSet;
  readonly #moved = new Set<string>();
  readonly #ticketKeys = new TicketKeys((keys) => this.#send(this.#state.rotate(keys)));
  readonly #identity: ProxyIdentity;
  readonly #director: ProxyDirector | null;
  #meshIdentity: MeshIdentity | null = null;
  #state: ConfigState;
  #admin: AdminServer | null = null;
  #reloader: Reloader | null = null;
  #watcher: ConfigWatch | null = null;
  /** Certificates: files that the configuration names. */
  readonly #fileWatch = new FileWatch(() => this.#reloader?.request());
  #isReady = false;
  #areWorkersBegun = false;
  #isMoveScheduled = false;
  #stops = 0;
  #onStop: () => void = () => undefined;
  #onHurry: () => void = () => undefined;
  readonly #stopped = new Promise<void>((resolve) => {
    this.#onStop = resolve;
  });
  readonly #hurried = new Promise<void>((resolve) => {
    this.#onHurry = resolve;
  });

  constructor(snapshot: ProxySnapshot, forwarderModule: string, director: ProxyDirector | null) {
    this.#initial = snapshot;
    this.#director = director;
    this.#logger = new Logger(snapshot.logLevel, snapshot.name);
    const { log } = this.#logger;
    const refusals = new GatheredLog(log, "warn", "connections refused");
    this.#acceptor = new Acceptor({
      placement: this.#placement(),
      onRefused: (reason, errno) => {
        this.#metrics.refused(reason);
        refusals.note({ reason, ...(errno > 0 && { error: getSystemErrorName(-errno) }) });
      },
    });
    this.#resolver = new Resolver({
      ttlMaxMs: () => this.#state.snapshot.limits.dnsTtlMaxMs,
      onChange: (name) => this.#nameMoved(name),
      onLookup: (type, result) => this.#metrics.lookedUp(type, result),
      log,
      ...testDnsServer(process.env),
    });
    this.#identity = this.#createIdentity();
    this.#state = this.#stateOf(snapshot, snapshot.listeners);
    this.#workers = this.#createWorkers(forwarderModule);
  }

  #stateOf(snapshot: ProxySnapshot, listeners: readonly ListenerSnapshot[]): ConfigState {
    return new ConfigState(snapshot, listeners, (name) => this.#resolver.addresses(name), this.#ticketKeys.current);
  }

  #createIdentity(): ProxyIdentity {
    return new ProxyIdentity({
      environment: process.env,
      onIdentity: (identity) => {
        this.#meshIdentity = identity;
        if (this.#areWorkersBegun) this.#send(this.#state.identify(identity));
      },
      metrics: () => this.#metrics.identity(),
      log: this.#logger.log,
    });
  }

  /**
   * Listens, forwards, is ready; false when it was told to stop before. Clients wait in the kernel's queue until there is a certificate:
   * without one, nobody could be told from anybody. Rejects with a ListenError, an IdentityError or the admin server's; then
   * `abandon` must follow.
   */
  async start(): Promise<boolean> {
    process.on("uncaughtException", (error) => this.#logger.fatal("an exception that nobody caught: the proxy ends", error));
    const onSignal = this.#director?.ignoresSignals === true ? () => undefined : (signal: string) => this.#stop(signal);
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, onSignal);
    this.#director?.direct((reason) => this.#stop(reason));
    const { limits, listeners, services, admin, identity } = this.#initial;
    const certified = this.#identity.start(identity);
    // Awaited below; until then it is nobody's unhandled rejection.
    certified.catch(() => undefined);
    this.#resolver.setNames(this.#state.names);
    const prepared = await this.#acceptor.prepare(listeners, limits);
    this.#state = this.#stateOf(this.#initial, prepared.listeners);
    if (admin !== null) {
      await this.#openAdmin(admin).catch((error: Error) => {
        prepared.abort();
        throw error;
      });
    }
    await this.#resolver.settled(FIRST_LOOKUPS_MS);
    await this.#workers.start();
    this.#areWorkersBegun = true;
    // What came while they began.
    if (this.#meshIdentity !== null) this.#send(this.#state.identify(this.#meshIdentity));
    const isCertified = await Promise.race([certified.then(() => true), this.#stopped.then(() => false)]).catch((error: Error) => {
      prepared.abort();
      throw error;
    });
    if (!isCertified) {
      prepared.abort();
      await this.abandon();
      return false;
    }
    await prepared.commit();
    this.#isReady = true;
    if (this.#moved.size > 0) this.#scheduleMoved();
    const addresses = Object.fromEntries(prepared.listeners.map(({ id, listen }) => [id, formatHostPort(listen)]));
    this.#logger.log("info", "ready", {
      ...addresses,
      admin: admin && formatHostPort(admin),
      workers: this.#workers.serving,
      services: services.length,
      ms: Math.round(performance.now()),
    });
    this.#director?.ready(prepared.listeners);
    return true;
  }

  /** Reads the configuration again when its files change or on SIGHUP. */
  watch(source: ConfigSource, files: readonly SourceFile[]): void {
    this.#fileWatch.set(files);
    const reloader = new Reloader({
      source,
      load: loadInWorker,
      apply: (snapshot) => this.#apply(snapshot),
      onLoaded: (files) => this.#fileWatch.set(files),
      onReload: (result) => this.#metrics.reloaded(result),
      log: this.#logger.log,
    });
    this.#reloader = reloader;
    process.on("SIGHUP", () => reloader.request());
    if (typeof source.path === "string") this.#watcher = watchConfig(source.path, () => reloader.request());
  }

  /** Resolves to the exit code when everything has ended. */
  async untilStopped(): Promise<number> {
    await this.#stopped;
    this.#reloader?.close();
    this.#watcher?.close();
    this.#fileWatch.close();
    await drainProxy({
      acceptor: this.#acceptor,
      workers: this.#workers,
      graceMs: this.#state.snapshot.limits.drainGraceMs,
      hurry: this.#hurried,
      log: this.#logger.log,
    });
    await this.#close();
    return 0;
  }

  /** A start that failed or was called off: gives back what had been opened. Nothing has been accepted. */
  async abandon(): Promise<void> {
    if (this.#areWorkersBegun) await this.#workers.drain(0, Promise.resolve());
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#identity.close();
    this.#resolver.close();
    this.#ticketKeys.close();
    this.#fileWatch.close();
    await this.#admin?.close();
    await this.#logger.end();
  }

  /** Connections go to the workers; they do not exist yet when the acceptor is made. */
  #placement(): Placement {
    const workers = () => this.#workers;
    return {
      get openConnections() {
        return workers().openConnections;
      },
      place: (fd, listener) => workers().place(fd, listener),
      flush: () => workers().flush(),
    };
  }

  #createWorkers(forwarderModule: string): WorkerSet {
    const { workers, limits } = this.#initial;
    const count = workers === "auto" ? availableParallelism() : workers;
    let lives = 0;
    const options: WorkerSetOptions = {
      log: this.#logger.log,
      forwarderModule,
      testHooks: hasTestHooks(process.env),
      seriesMax: limits.seriesMax,
      fullUpdate: () => this.#state.full(),
      listenerIds: this.#acceptor.listenerIds,
      isListenerPort: (port) => this.#acceptor.addresses.some((address) => address.port === port),
      onLife: (name, slots) => {
        const id = `${name}#${lives++}`;
        this.#store.addWorker(id, slots);
        return { add: (descriptor) => this.#store.addSeries(id, descriptor), retire: () => this.#store.removeWorker(id) };
      },
      onServing: (serving) => this.#metrics.workers(serving),
      onRestart: (reason) => this.#metrics.restarted(reason),
      onConnectFailed: (service) => {
        for (const name of this.#state.namesOf(service)) this.#resolver.refresh(name);
      },
      // What has moved is told in the next turn, before this.
      askNames: (ports) => this.#resolver.renewed(this.#state.namesAt(ports)).then(() => nextTurn()),
    };
    return count === 0 ? new InlineWorker(options) : new WorkerPool(count, options);
  }

  async #openAdmin(address: HostPort): Promise<void> {
    const onError = (error: unknown) => this.#logger.log("error", "admin port", { error: (error as Error).stack });
    const server = await createAdminServer({ onError });
    proxyRoutes(
      server,
      adminSource({
        store: this.#store,
        workers: this.#workers,
        logger: this.#logger,
        version: packageVersion(),
        snapshot: () => this.#state.snapshot,
        identity: () => this.#identity.status(this.#state.snapshot.identity, this.#state.snapshot.meshIdentity ?? this.#meshIdentity),
        isReady: () => this.#isReady,
        shutdown: () => this.#stop("POST /shutdown"),
      }),
    );
    if (hasTestHooks(process.env)) testRoutes(server, this.#workers, this.#identity);
    try {
      await server.listen(address.host, address.port);
    } catch (error) {
      const { code = "unknown error" } = error as { code?: string };
      throw new ListenError(code, address, "choose another by spec.admin.listen or --admin HOST:PORT, or none by --admin off");
    }
    this.#admin = server;
  }

  #stop(reason: string): void {
    this.#stops++;
    if (this.#stops === 1) {
      this.#logger.log("info", "stopping", { reason });
      this.#onStop();
    } else {
      this.#logger.log("warn", "stopping at once", { reason });
      this.#onHurry();
    }
  }

  /** Gathers the names of one turn: a restarted DNS server moves many at once. */
  #nameMoved(name: string): void {
    this.#moved.add(name);
    // What moves during the start waits for its end: `start` schedules it then.
    if (this.#isReady) this.#scheduleMoved();
  }

  /** Names that move in one turn are one update. */
  #scheduleMoved(): void {
    if (this.#isMoveScheduled) return;
    this.#isMoveScheduled = true;
    setImmediate(() => {
      this.#isMoveScheduled = false;
      const update = this.#state.moved(this.#moved);
      this.#moved.clear();
      this.#send(update);
    });
  }

  #send(update: WorkerUpdate | null): void {
    if (update !== null) this.#workers.update(update);
  }

  async #apply(snapshot: ProxySnapshot): Promise<void> {
    const before = this.#state.snapshot;
    const prepared = await this.#acceptor.prepare(snapshot.listeners, snapshot.limits);
    this.#resolver.setNames(new Set([...this.#state.names, ...namesOf(snapshot)]));
    await this.#resolver.settled(FIRST_LOOKUPS_MS);
    // Connections that the kernel has accepted at a listener that goes still arrive under its id.
    const going = before.listeners.filter(({ id }) => prepared.listeners.every((listener) => listener.id !== id));
    const update = this.#state.replace(snapshot, [...prepared.listeners, ...going]);
    this.#send(update);
    this.#resolver.setNames(this.#state.names);
    await prepared.commit();
    this.#identity.apply(snapshot.identity);
    if (going.length > 0) this.#send(this.#state.replace(snapshot, prepared.listeners));
    if (snapshot.logLevel !== before.logLevel) this.#logger.level = snapshot.logLevel;
    const { log } = this.#logger;
    if (String(snapshot.workers) !== String(before.workers)) log("warn", "another number of workers takes a restart");
    if (JSON.stringify(snapshot.admin) !== JSON.stringify(before.admin)) log("warn", "another admin address takes a restart");
    const { version } = this.#state;
    log("info", "configuration applied", { version, services: snapshot.services.length, ...reloadSummary(before, update) });
  }
}

function namesOf(snapshot: ProxySnapshot): string[] {
  return snapshot.services.flatMap((service) => service.dns.map(({ host }) => host));
}

/** Weft's version, from its package. */
function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return version;
}
