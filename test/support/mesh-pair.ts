// Two proxies of a mesh, as between two services that each have one beside them: client, proxy A (outbound), proxy B (inbound), application.

import { after, before } from "node:test";
import { MeshFiles, SERVER_NAME } from "./mesh-files.ts";
import type { ProxyOptions } from "./proxy-config.ts";
import { ProxyProcess } from "./proxy-process.ts";
import { stopProxy } from "./scenario.ts";

/** The mesh without its TLS: a test can be a proxy of it. */
const PLAIN = { WEFT_TEST_MESH: "plain" };

export type PairOptions = Omit<Partial<ProxyOptions>, "services">;

export interface PairParts {
  /** Ports of the application, by the name of B's listener for it; `web` is what A's clients get by default. */
  readonly targets: Readonly<Record<string, { readonly port: number; readonly protocol?: string }>>;
  readonly a?: PairOptions;
  readonly b?: PairOptions;
  /** Without TLS between the proxies. */
  readonly isPlain?: boolean;
  /** A's listeners: each for the target of the same name. */
  readonly opaque?: readonly string[];
}

export class MeshPair {
  readonly a: ProxyProcess;
  readonly b: ProxyProcess;
  readonly #files: MeshFiles;

  private constructor(files: MeshFiles, a: ProxyProcess, b: ProxyProcess) {
    this.#files = files;
    this.a = a;
    this.b = b;
  }

  static async start(parts: PairParts): Promise<MeshPair> {
    const files = new MeshFiles();
    const ports = Object.fromEntries(
      Object.entries(parts.targets).map(([name, { port, protocol }]) => [
        name,
        { target: `127.0.0.1:${port}`, ...(protocol && { protocol }) },
      ]),
    );
    const inbound = { target: "127.0.0.1:1", ports };
    const environment = parts.isPlain === true ? PLAIN : {};
    const b = await ProxyProcess.start({ services: {}, inbound, identity: files.server, environment, ...parts.b });
    const services = Object.fromEntries(
      Object.keys(parts.targets).map((name) => [name, { endpoints: [`127.0.0.1:${b.listener(name)}`], identity: SERVER_NAME }]),
    );
    const listeners = Object.fromEntries((parts.opaque ?? []).map((name) => [`to-${name}`, { service: name, protocol: "opaque" }]));
    const a = await ProxyProcess.start({ services, listeners, identity: files.client, environment, ...parts.a });
    return new MeshPair(files, a, b);
  }

  /** A's port for clients that name a service, or none. */
  get port(): number {
    return this.a.port;
  }

  async stop(): Promise<void> {
    try {
      await stopProxy(this.a);
      await stopProxy(this.b);
    } finally {
      this.#files.remove();
    }
  }
}

export interface PairScenario<O> {
  readonly origins: O;
  readonly pair: MeshPair;
  readonly port: number;
}

/** Call at the top of a `describe`: starts the origins, then both proxies; stops them all at its end. */
export function pairScenario<O extends Record<string, { stop(): Promise<void> }>>(
  startOrigins: () => Promise<O>,
  configure: (origins: O) => PairParts,
): PairScenario<O> {
  let origins: O | undefined;
  let pair: MeshPair | undefined;
  before(async () => {
    origins = await startOrigins();
    pair = await MeshPair.start(configure(origins));
  });
  after(async () => {
    try {
      await pair?.stop();
    } finally {
      await Promise.all(Object.values(origins ?? {}).map((origin) => origin.stop()));
    }
  });
  return {
    get origins() {
      return origins!;
    },
    get pair() {
      return pair!;
    },
    get port() {
      return pair!.port;
    },
  };
}
