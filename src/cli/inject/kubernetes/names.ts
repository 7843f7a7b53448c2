// Names of what is put into a pod. `weft uninject` knows its own by them, also after the API server has reordered everything.

export const PROXY_CONTAINER = "weft-proxy";
export const INIT_CONTAINER = "weft-init";

/** Volumes: the token and the roots; the kept certificate; iptables' lock. */
export const IDENTITY_VOLUME = "weft-identity";
export const STATE_VOLUME = "weft-state";
export const RUN_VOLUME = "weft-init-run";

export const OUR_CONTAINERS: readonly string[] = [PROXY_CONTAINER, INIT_CONTAINER];
export const OUR_VOLUMES: readonly string[] = [IDENTITY_VOLUME, STATE_VOLUME, RUN_VOLUME];

/** Which Weft made the sidecar. */
export const VERSION_ANNOTATION = "weft.dev/proxy-version";
/** The keys that were not there before, or were null: `metadata,annotations,volumes=null`. */
export const ADDED_ANNOTATION = "weft.dev/added";
export const OUR_ANNOTATIONS: readonly string[] = [VERSION_ANNOTATION, ADDED_ANNOTATION];

/** On whole resources that are Weft's. */
export const PART_LABEL = "weft.dev/part";

/** The ConfigMap with the roots that proxies begin with, in every namespace that has some, and its key (Linkerd's name). */
export const TRUST_ROOTS_CONFIG_MAP = "weft-identity-trust-roots";
export const TRUST_ROOTS_KEY = "ca-bundle.crt";

/** The identity component's Service and its port. */
export const IDENTITY_SERVICE = "weft-identity";
export const IDENTITY_PORT = 8080;

/** Sidecars of meshes: a pod has one or none. */
export const FOREIGN_SIDECARS: readonly string[] = ["linkerd-proxy", "istio-proxy", "consul-dataplane", "kuma-sidecar"];

export const INJECT_ANNOTATION = "linkerd.io/inject";
