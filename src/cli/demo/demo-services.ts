// Starts the demo's services, one thread each.

import { Worker } from "node:worker_threads";
import { SERVICE_KINDS, type ServiceKind } from "./demo-service.ts";

export interface DemoService {
  readonly kind: ServiceKind;
  /** `127.0.0.1:port`, as the proxy names the endpoint. */
  readonly address: string;
  stop(): Promise<void>;
}

/** The name of a module beside this one, whether it runs from source or built. */
export function siblingModule(name: string): URL {
  return new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);
}

function startService(kind: ServiceKind): Promise<DemoService> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(siblingModule("demo-service"), { workerData: kind, name: `demo-${kind}` });
    worker.once("error", reject);
    worker.once("message", (port: number) => {
      resolve({
        kind,
        address: `127.0.0.1:${port}`,
        stop: async () => {
          await worker.terminate();
        },
      });
    });
  });
}

export function startServices(): Promise<DemoService[]> {
  return Promise.all(SERVICE_KINDS.map(startService));
}
