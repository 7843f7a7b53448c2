// The images that test/fixtures/compose names, none of which can be pulled here: a small server for each (stand-in-service), and the real Redis from
// Debian for all its versions. The names are taken away at the end; an image that had one before gets it back.

import assert from "node:assert/strict";
import { engine, ok, run } from "./engine.ts";

/** What each listens on (stand-in-service/service.ts); `nothing` for those that only stay. */
const LISTENS: Readonly<Record<string, string>> = {
  nginx: "http:80 http:9000 http:9001 http:9002",
  "nginx:1.25": "http:80 http:443",
  "nginx:stable": "http:80 http:443",
  "postgres:15-alpine": "bytes:5432",
  "postgres:13": "bytes:5432",
  "mariadb:10.6": "bytes:3306",
  "rabbitmq:3": "bytes:5672",
  "wordpress:6-fpm": "http:9000",
  "python:3.12-slim": "http:8000 http:8001",
  "example/app": "http:8080 udp:9090",
  "example/backup": "nothing",
  "example/cart:latest": "http:4000",
  "example/cron": "nothing",
  "example/exporter": "http:9419",
  "example/gateway": "http:8000",
  "example/pipeline:2.8.1": "http:8080 http:8793 http:5555",
  "example/users": "http:8000",
};
const STAND_IN = "docker.io/library/weft-stand-in";
const REDIS = "docker.io/library/redis:7";
/** Made by engine.sh. */
const THERE = ["weft", "redis:7"];

/** What a Dockerfile says for such an image. */
export function standInFor(image: string, listens: string): string {
  return `FROM ${STAND_IN}\nENV STAND_IN=${image} LISTENS="${listens.replace("nothing", "")}"\n`;
}

export class StandIns {
  /** Full names, and the image that had the name before. */
  readonly #made = new Map<string, string | null>();

  /** Makes those images that are not made yet. */
  async make(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const full = fullName(name);
      if (THERE.includes(name) || this.#made.has(full)) continue;
      const { code, stdout } = await run("podman", ["image", "inspect", "--format", "{{.Id}}", full]);
      this.#made.set(full, code === 0 ? stdout.trim() : null);
      if (name.startsWith("redis:")) await engine("tag", REDIS, full);
      else {
        assert.ok(Object.hasOwn(LISTENS, name), `nothing stands in for the image ${name}`);
        await ok("podman", ["build", "--quiet", "--tag", full, "-"], { input: standInFor(name, LISTENS[name]!) });
      }
    }
  }

  async remove(): Promise<void> {
    for (const [name, before] of this.#made) {
      // The one from before may be the very same image: it is only untagged when nobody else has its name.
      if (before === null) await engine("rmi", name);
      else await engine("tag", before, name);
    }
    this.#made.clear();
  }
}

/** As Docker reads a short name. */
function fullName(name: string): string {
  const withTag = name.includes(":") ? name : `${name}:latest`;
  return name.includes("/") ? `docker.io/${withTag}` : `docker.io/library/${withTag}`;
}
