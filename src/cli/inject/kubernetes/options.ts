// What `weft inject` is told about Kubernetes manifests, and what holds where nothing is said.

import { FileProblem, readBounded } from "../../../control/identity/private-files.ts";
import { DEFAULT_CONTROL_NAMESPACE, DEFAULT_TRUST_DOMAIN, isDnsLabel, isTrustDomain } from "../../../core/identity/names.ts";
import { packageVersion } from "../../version-command.ts";
import { checkTrustRoots } from "./trust-roots.ts";

export interface KubernetesInjectOptions {
  /** `NAME:TAG` of Weft's image. */
  readonly image: string;
  /** Of resources that name none. */
  readonly namespace: string;
  readonly controlNamespace: string;
  readonly trustDomain: string;
  /** The cluster's DNS domain. */
  readonly clusterDomain: string;
  /** Sidecars as init containers that stay (Kubernetes 1.29 and later); false: as containers. */
  readonly nativeSidecar: boolean;
  /** Redirect IPv6 as well. */
  readonly ipv6: boolean;
  /** Outbound connections to meshed services of these files are mutual TLS, and nothing else. */
  readonly peerIdentities: boolean;
  /** PEM: adds a ConfigMap with these roots for every namespace that has injected pods; null: it is there already. */
  readonly trustRoots: string | null;
  /** Annotations (`config.linkerd.io/...`) below those of namespaces and pods: what flags say. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** Defaults. */
export function defaultInjectOptions(): KubernetesInjectOptions {
  return {
    image: `weft:${packageVersion()}`,
    namespace: "default",
    controlNamespace: DEFAULT_CONTROL_NAMESPACE,
    trustDomain: DEFAULT_TRUST_DOMAIN,
    clusterDomain: "cluster.local",
    nativeSidecar: true,
    ipv6: false,
    peerIdentities: true,
    trustRoots: null,
    annotations: {},
  };
}

/** Options of the command that only manifests need, as they were given. */
export interface ManifestArguments {
  readonly image: string;
  readonly namespace: string;
  readonly trustDomain: string;
  readonly nativeSidecar?: "true" | "false";
  readonly peerIdentities?: "true" | "false";
  readonly ipv6?: true;
  readonly identityTrustAnchorsFile?: string;
  readonly controlNamespace?: string;
  readonly clusterDomain?: string;
}

/** What they mean; `settings`: values of `config.linkerd.io/NAME`, by NAME. Throws a FileProblem. */
export function manifestOptions(given: ManifestArguments, settings: ReadonlyMap<string, string>): KubernetesInjectOptions {
  const defaults = defaultInjectOptions();
  const { controlNamespace = defaults.controlNamespace, clusterDomain = defaults.clusterDomain } = given;
  if (!isDnsLabel(controlNamespace))
    throw new FileProblem(`--control-namespace ${JSON.stringify(controlNamespace)}: expected lower-case letters, digits and '-'`);
  if (!isTrustDomain(clusterDomain))
    throw new FileProblem(`--cluster-domain ${JSON.stringify(clusterDomain)}: expected a name like cluster.local`);
  return {
    image: given.image,
    namespace: given.namespace,
    trustDomain: given.trustDomain,
    controlNamespace,
    clusterDomain,
    nativeSidecar: given.nativeSidecar !== "false",
    peerIdentities: given.peerIdentities !== "false",
    ipv6: given.ipv6 === true,
    trustRoots: given.identityTrustAnchorsFile === undefined ? null : readTrustRoots(given.identityTrustAnchorsFile),
    annotations: Object.fromEntries([...settings].map(([name, value]) => [`config.linkerd.io/${name}`, value])),
  };
}

function readTrustRoots(path: string): string {
  let pem: string;
  try {
    pem = readBounded(path);
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw new FileProblem(`--identity-trust-anchors-file ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  try {
    return checkTrustRoots(pem);
  } catch (error) {
    throw new FileProblem(`--identity-trust-anchors-file ${path} ${(error as Error).message}`);
  }
}

/** The name under which a service is found within the cluster. */
export function clusterName(name: string, namespace: string, clusterDomain: string): string {
  return `${name}.${namespace}.svc.${clusterDomain}`;
}
