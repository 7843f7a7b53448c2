// linkerd2-proxy, the nearest relative. No package registry carries it, and it takes its identity and its routes from a control plane
// in Kubernetes: there is no way to run it on a bare machine, and the benchmark says so by name instead of leaving it out.

import type { PeerKind } from "./peer.ts";

export const LINKERD2_PROXY: PeerKind = {
  name: "linkerd2-proxy",
  abilities: [],
  install: "nothing to install: it runs only in Kubernetes, beside Linkerd's control plane",
  version: () => null,
  start: () => Promise.reject(new Error("linkerd2-proxy cannot be started without its control plane")),
};
