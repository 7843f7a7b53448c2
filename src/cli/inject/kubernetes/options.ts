// What `weft inject` is told about Kubernetes manifests, and what holds where nothing is said.

import { DEFAULT_CONTROL_NAMESPACE, DEFAULT_TRUST_DOMAIN } from "../../../core/identity/names.ts";
import { packageVersion } from "../../version-command.ts";

export interface KubernetesInjectOptions {
  /** What the text is called in messages. */
  readonly file: string;
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
    file: "-",
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

/** The name under which a service is found within the cluster. */
export function clusterName(name: string, namespace: string, clusterDomain: string): string {
  return `${name}.${namespace}.svc.${clusterDomain}`;
}
