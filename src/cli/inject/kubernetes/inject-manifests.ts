// Manifests as `weft inject` and `weft uninject` see every kind of input: sources in, an injection out.

import type { Injection, Source } from "../injection.ts";
import { refused } from "../injection.ts";
import { injectKubernetes } from "./inject.ts";
import { ManifestProblem } from "./manifest-problem.ts";
import { TRUST_ROOTS_CONFIG_MAP } from "./names.ts";
import type { KubernetesInjectOptions } from "./options.ts";
import { uninjectKubernetes } from "./uninject.ts";

/** The whole output, or what is wrong. Needs no tokens: Kubernetes makes them. */
export function injectManifests(sources: readonly Source[], options: KubernetesInjectOptions): Injection {
  return orRefused(() => {
    const { text, outcomes, problems, notes, injected } = injectKubernetes(sources, options);
    const roots = `sidecars take their roots from the ConfigMap ${TRUST_ROOTS_CONFIG_MAP} in their namespace; --identity-trust-anchors-file adds it`;
    return { text, outcomes, problems, workloads: [], notes: injected > 0 && options.trustRoots === null ? [...notes, roots] : notes };
  });
}

export function uninjectManifests(sources: readonly Source[]): Injection {
  return orRefused(() => {
    const { text, outcomes } = uninjectKubernetes(sources);
    return { text, outcomes, problems: [], workloads: [], notes: [] };
  });
}

function orRefused(work: () => Injection): Injection {
  try {
    return work();
  } catch (error) {
    if (error instanceof ManifestProblem) return refused([error.problem]);
    throw error;
  }
}
