// The control plane as a compose file: the identity component, and the network on which sidecars reach it.

import { IDENTITY_SERVICE, MESH_NETWORK } from "../inject/compose/plan.ts";
import { labels, readiness } from "../inject/compose/parts.ts";
import { IDENTITY_PORT } from "../inject/compose/sidecar-config.ts";
import { linesOf, listOf, mapOf, plain, quoted } from "../inject/tree.ts";

export interface ComposeInstallOptions {
  readonly image: string;
  readonly trustDomain: string;
  /** As compose files name it: `./.weft`. */
  readonly folder: string;
  /** `uid:gid` that the folder belongs to. */
  readonly user: string;
  readonly isHighlyAvailable: boolean;
}

const DATA = "/var/lib/weft/identity";
/** On the component's own loopback address: what is asked there with a secret is asked from within. */
const ADMIN_PORT = 8089;

/** The file's text. */
export function composeControlPlane({ image, trustDomain, folder, user, isHighlyAvailable }: ComposeInstallOptions): string {
  const command = ["identity-controller", "--data", DATA, "--listen", `0.0.0.0:${IDENTITY_PORT}`, "--admin", `127.0.0.1:${ADMIN_PORT}`];
  const component = mapOf({
    image: quoted(image),
    command: listOf([...command, "--trust-domain", trustDomain].map(quoted)),
    user: quoted(user),
    restart: plain(isHighlyAvailable ? "always" : "unless-stopped"),
    read_only: plain(true),
    cap_drop: listOf([plain("ALL")]),
    healthcheck: readiness(ADMIN_PORT),
    labels: labels("identity", null),
    networks: listOf([plain(MESH_NETWORK)]),
    volumes: listOf([quoted(`${folder}/identity:${DATA}`)]),
  });
  const file = mapOf({
    services: mapOf({ [IDENTITY_SERVICE]: component }),
    networks: mapOf({ [MESH_NETWORK]: mapOf({ internal: plain(true) }) }),
  });
  return [
    "# Weft's control plane, by `weft install`. Its keys are in the folder below, which belongs into no repository.",
    "#   weft inject docker-compose.yml > meshed.yml && docker compose -f weft.yaml -f meshed.yml up",
    ...linesOf(file, ""),
    "",
  ].join("\n");
}
