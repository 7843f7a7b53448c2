// `policy` and `clusterNetworks` of spec.inbound: who may come in at each inbound port.
//
// Refused: what is no network, an empty list where a policy looks at it, and a policy that asks clients for identities at a proxy that has
// none itself or at a port with ordinary TLS, because nobody could prove one there. Networks that no policy looks at are a warning.

import { DEFAULT_CLUSTER_NETWORKS, type DefaultPolicy, needsIdentity, needsNetworks } from "../core/policy/default-policy.ts";
import { formatNetwork, parseNetwork } from "../core/policy/network.ts";
import { formatPath } from "./problem.ts";
import type { Path } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import { show } from "./shape-problems.ts";
import type { InboundPolicy } from "./snapshot.ts";

/** Networks are looked at one after the other, once per connection. */
export const CLUSTER_NETWORKS_MAX = 256;

const NETWORKS_PATH = ["spec", "inbound", "clusterNetworks"];

export class PolicyCompiler {
  readonly #context: ProxyContext;
  readonly #networks: readonly string[];
  #usesNetworks = false;

  constructor(context: ProxyContext) {
    this.#context = context;
    const texts = context.shape.spec?.inbound?.clusterNetworks;
    this.#networks = texts === undefined ? DEFAULT_CLUSTER_NETWORKS : this.#readNetworks(texts);
  }

  /** The policy of the port whose keys are at `base`; null for the one that admits anyone. */
  compile(base: Path, own: DefaultPolicy | undefined, hasTls: boolean): InboundPolicy | null {
    const { document, problems, shape } = this.#context;
    const name = own ?? shape.spec?.inbound?.policy ?? "all-unauthenticated";
    const path = own === undefined ? ["spec", "inbound", "policy"] : [...base, "policy"];
    if (needsIdentity(name) && shape.spec?.identity === undefined) {
      const message = `${formatPath(path)} is ${name}, and Proxy ${shape.metadata.name} has no identity itself`;
      problems.push(
        document.problemAt(path, "value", "error", message, "give it spec.identity, so that clients can prove to it who they are"),
      );
    }
    if (needsIdentity(name) && hasTls) {
      const tls = formatPath([...base, "tls"]);
      const message = `${formatPath(path)} is ${name}, and ${tls} is ordinary TLS, by which no client proves who it is: nobody could come in`;
      const hint = "mesh TLS needs no tls key; leave it out, or give the port another policy";
      problems.push(document.problemAt([...base, "tls"], "key", "error", message, hint));
    }
    if (!needsNetworks(name)) return name === "all-unauthenticated" ? null : { name, networks: [] };
    this.#usesNetworks = true;
    if (shape.spec?.inbound?.clusterNetworks?.length === 0) {
      const message = `${formatPath(NETWORKS_PATH)} is empty, and ${formatPath(path)} is ${name}: nobody could come in`;
      const hint = "leave it out for the private networks, list networks such as 10.0.0.0/8, or set policy: deny";
      problems.push(document.problemAt(NETWORKS_PATH, "value", "error", message, hint));
    }
    return { name, networks: this.#networks };
  }

  /** After every port. */
  finish(): void {
    const { document, problems, shape } = this.#context;
    if (this.#usesNetworks || shape.spec?.inbound?.clusterNetworks === undefined) return;
    const message = `${formatPath(NETWORKS_PATH)} is set, and no policy looks at it`;
    problems.push(document.problemAt(NETWORKS_PATH, "key", "warning", message, "cluster-unauthenticated and cluster-authenticated do"));
  }

  /** In canonical form, without repetitions. */
  #readNetworks(texts: readonly string[]): readonly string[] {
    const { document, problems } = this.#context;
    if (texts.length > CLUSTER_NETWORKS_MAX) {
      const message = `${formatPath(NETWORKS_PATH)} has ${texts.length} networks`;
      problems.push(document.problemAt(NETWORKS_PATH, "value", "error", message, `${CLUSTER_NETWORKS_MAX} at most: name larger ones`));
      return [];
    }
    const networks = new Set<string>();
    for (const [index, text] of texts.entries()) {
      const path = [...NETWORKS_PATH, index];
      const parsed = parseNetwork(text);
      if ("mistake" in parsed) {
        const { problem, hint } = parsed.mistake;
        problems.push(document.problemAt(path, "value", "error", `${formatPath(path)} is ${show(text)}, which ${problem}`, hint));
        continue;
      }
      networks.add(formatNetwork(parsed.ok));
    }
    return [...networks];
  }
}
