// Starts the certifying thread for one request, and waits for its answer: what it loads and makes is gone when it has ended.

import { Worker } from "node:worker_threads";
import type { Certified, CertifyRequest, ReadBundleRequest, ThreadAnswer, ThreadRequest, TrustRoots } from "./certify-request.ts";
import { failureOf, IdentityError } from "./identity-failure.ts";

/** Two connections (5 s each) and two calls (10 s each), and some more. */
const DEADLINE_MS = 35_000;
/** x509 and protobuf take some 15 MB. */
const OLD_GENERATION_MB = 96;
const YOUNG_GENERATION_MB = 8;

const MODULE = new URL(`./certifier${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/** Gets a certificate. Never rejects. */
export function certifyInThread(request: CertifyRequest): Promise<ThreadAnswer<Certified>> {
  return ask(request);
}

/** Reads a trust bundle. Never rejects. */
export function readBundleInThread(request: ReadBundleRequest): Promise<ThreadAnswer<TrustRoots>> {
  return ask(request);
}

function ask<T>(request: ThreadRequest): Promise<ThreadAnswer<T>> {
  return new Promise((resolve) => {
    // No environment: whatever secrets it holds have no business there.
    const worker = new Worker(MODULE, {
      name: "identity",
      workerData: request,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: OLD_GENERATION_MB, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const end = (answer: ThreadAnswer<T>) => {
      clearTimeout(timer);
      resolve(answer);
      void worker.terminate();
    };
    const fail = (error: Error) => end({ failure: failureOf(error) });
    const timer = setTimeout(() => fail(new IdentityError("unreachable", `no certificate within ${DEADLINE_MS} ms`)), DEADLINE_MS);
    worker.on("message", end);
    worker.on("error", fail);
    worker.on("exit", (code) => fail(new Error(`the certifying thread ended with code ${code}`)));
  });
}
