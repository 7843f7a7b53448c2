// What Docker Compose v2 needs of Weft's own compose files and of what `weft inject` and `weft install` write, and docker-compose 1.29 does not care about.
// Both rules were seen with v2.40.3 and Docker:
//
// - `docker compose up --wait` fails at a service whose health check is disabled ("has no healthcheck configured"), unless another one waits for its end.
// - `docker compose restart` keeps the order of services that share a namespace, but not where `depends_on` names the one that owns it.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { runWeft } from "../support/weft-command.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** As `weft inject` writes it: inject-compose-golden.test.ts. */
const INJECTED = globSync("test/fixtures/compose/*.meshed", { cwd: ROOT });
const OWN = ["docker-compose.yml", ...globSync("examples/*/compose.yml", { cwd: ROOT })];

interface Service {
  readonly image: string;
  readonly command?: unknown;
  readonly network_mode?: string;
  readonly healthcheck?: { readonly disable?: boolean };
  readonly depends_on?: readonly string[] | Readonly<Record<string, { readonly condition: string }>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly profiles?: readonly string[];
}

type Services = Readonly<Record<string, Service>>;

function servicesOf(text: string): Services {
  return (parse(text, { merge: true, logLevel: "error" }) as { services: Services }).services;
}

function namesIn(dependencies: Service["depends_on"]): string[] {
  return Array.isArray(dependencies) ? [...(dependencies as string[])] : Object.keys(dependencies ?? {});
}

/** Services for whose end another one waits. */
function awaited(services: Services): Set<string> {
  const entries = Object.values(services).flatMap(({ depends_on: given }) => (Array.isArray(given) ? [] : Object.entries(given ?? {})));
  return new Set(entries.filter(([, { condition }]) => condition === "service_completed_successfully").map(([name]) => name));
}

/** A job's sidecar and holder end with it: `up --wait` is not for jobs (docs/compose.md). */
function isOfJob({ command }: Service): boolean {
  return Array.isArray(command) && command.includes("--job");
}

function assertWaitable(services: Services, whose: (service: Service) => boolean): void {
  const ends = awaited(services);
  const staying = Object.entries(services).filter(([name, service]) => whose(service) && !ends.has(name) && !isOfJob(service));
  assert.ok(staying.length > 0);
  for (const [name, { healthcheck }] of staying) assert.notEqual(healthcheck?.disable, true, name);
}

function assertRestartable(services: Services): void {
  for (const [name, { network_mode: mode = "", depends_on: dependencies }] of Object.entries(services)) {
    const owner = mode.replace(/^service:/, "");
    assert.ok(!namesIn(dependencies).includes(owner), `${name} names ${owner}, whose namespace it joins`);
  }
}

describe("docker compose up --wait", () => {
  for (const file of OWN)
    test(`can be had for ${file}`, () => {
      // Nothing of the profile bench is started by `up`.
      assertWaitable(servicesOf(readFileSync(join(ROOT, file), "utf8")), ({ profiles }) => profiles?.includes("bench") !== true);
    });

  for (const file of INJECTED)
    test(`can be had for what is Weft's in ${file}`, () => {
      assertWaitable(servicesOf(readFileSync(join(ROOT, file), "utf8")), ({ labels }) => labels?.["weft.dev/part"] !== undefined);
    });

  test("can be had for what weft install prints", async () => {
    const { code, stdout, stderr } = await runWeft(["install", "--dry-run"], { cwd: ROOT });
    assert.equal(code, 0, stderr);
    assertWaitable(servicesOf(stdout), () => true);
  });
});

describe("docker compose restart", () => {
  for (const file of [...OWN, ...INJECTED])
    test(`can keep the order of ${file}`, () => assertRestartable(servicesOf(readFileSync(join(ROOT, file), "utf8"))));
});
