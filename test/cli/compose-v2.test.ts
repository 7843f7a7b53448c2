// What Docker Compose v2 needs of Weft's own compose files and of what `weft inject` writes, and docker-compose 1.29 does not care about, as seen with
// v2.40.3 and Docker: `docker compose restart` keeps the order of services that share a namespace, but not where `depends_on` names the one that owns it.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** As `weft inject` writes it: inject-compose-golden.test.ts. */
const INJECTED = globSync("test/fixtures/compose/*.meshed", { cwd: ROOT });
const OWN = ["docker-compose.yml", ...globSync("examples/*/compose.yml", { cwd: ROOT })];

interface Service {
  readonly network_mode?: string;
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
}

type Services = Readonly<Record<string, Service>>;

function servicesOf(text: string): Services {
  return (parse(text, { merge: true, logLevel: "error" }) as { services: Services }).services;
}

function namesIn(dependencies: Service["depends_on"]): string[] {
  return Array.isArray(dependencies) ? [...(dependencies as string[])] : Object.keys(dependencies ?? {});
}

function assertRestartable(services: Services): void {
  for (const [name, { network_mode: mode = "", depends_on: dependencies }] of Object.entries(services)) {
    const owner = mode.replace(/^service:/, "");
    assert.ok(!namesIn(dependencies).includes(owner), `${name} names ${owner}, whose namespace it joins`);
  }
}

describe("docker compose restart", () => {
  for (const file of [...OWN, ...INJECTED])
    test(`can keep the order of ${file}`, () => assertRestartable(servicesOf(readFileSync(join(ROOT, file), "utf8"))));
});
