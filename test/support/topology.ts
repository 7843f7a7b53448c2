// The scenarios through two proxies: with WEFT_TEST_TOPOLOGY=pair in the environment, a second proxy of the mesh stands before all services.

import { MeshFiles, SERVER_NAME } from "./mesh-files.ts";
import type { ProxyOptions } from "./proxy-config.ts";

export const isPair: boolean = process.env.WEFT_TEST_TOPOLOGY === "pair";

export interface PairOfOptions {
  readonly files: MeshFiles;
  /** Of the proxy before the services. */
  readonly behind: ProxyOptions;
  /** Of the proxy that clients see, given where that one listens. */
  front(listener: (name: string) => number): ProxyOptions;
}

/** What one proxy would be, as two. */
export function splitOptions(options: ProxyOptions): PairOfOptions {
  const files = new MeshFiles();
  const addresses = [...new Set(Object.values(options.services).flatMap(({ endpoints }) => endpoints))];
  const name = (address: string): string => `behind-${addresses.indexOf(address)}`;
  // The inbound listener itself stands before nothing: every service has a port of its own.
  const ports = Object.fromEntries(addresses.map((address) => [name(address), { target: address }]));
  const inbound = { target: "127.0.0.1:1", ports };
  return {
    files,
    behind: { services: {}, inbound, identity: files.server, ...(options.limits && { limits: options.limits }) },
    front: (listener) => {
      const services = Object.fromEntries(
        Object.entries(options.services).map(([key, service]) => [
          key,
          { ...service, endpoints: service.endpoints.map((address) => `127.0.0.1:${listener(name(address))}`), identity: SERVER_NAME },
        ]),
      );
      return { ...options, services, identity: files.client };
    },
  };
}
