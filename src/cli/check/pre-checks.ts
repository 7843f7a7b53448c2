// What can be known before anything of Weft runs: Node, this host, the kernel's redirects, the container engine. `target` leaves out what
// does not matter for it: a proxy on this host needs no engine, sidecars have ports of their own.

import type { Place } from "./ask.ts";
import { lookAtAgainst, lookAtSynchronisation, lookAtYear } from "./pre-clock.ts";
import { engineChecks } from "./pre-engine.ts";
import { lookAtDescriptors, lookAtFolder, lookAtKernel, lookAtPorts } from "./pre-host.ts";
import { lookAtConntrack, lookAtRules } from "./pre-redirect.ts";
import { type Check, type Outcome, PASSED } from "./run-checks.ts";

export type Target = "any" | "host" | "compose";

export interface PreOptions {
  readonly target: Target;
  readonly ports: readonly number[];
  /** Whose clock is compared; null: nobody's. */
  readonly against: Place | null;
}

/** Of package.json's engines. */
const NODE_MIN = [22, 18] as const;

export function preChecks({ target, ports, against }: PreOptions): Check[] {
  const onHost: Check[] = target === "compose" ? [] : [{ id: "pre-host-ports", look: () => lookAtPorts(ports) }];
  return [
    { id: "pre-node-version", look: () => lookAtNode(process.versions.node) },
    { id: "pre-node-system-calls", look: lookAtSystemCalls },
    { id: "pre-host-kernel", look: lookAtKernel },
    ...onHost,
    { id: "pre-host-descriptors", look: lookAtDescriptors },
    { id: "pre-host-clock-year", look: () => lookAtYear(new Date()) },
    { id: "pre-host-clock-synchronised", look: lookAtSynchronisation },
    { id: "pre-host-clock-against", look: async () => (against === null ? null : await lookAtAgainst(against)) },
    { id: "pre-host-folder", look: () => lookAtFolder(process.cwd()) },
    { id: "pre-redirect-rules", look: lookAtRules },
    { id: "pre-redirect-conntrack", look: lookAtConntrack },
    ...(target === "host" ? [] : engineChecks(target === "compose")),
  ];
}

function lookAtNode(version: string): Outcome {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return { ok: true, note: version };
  return { problem: [`this is Node ${version}; Weft needs ${NODE_MIN.join(".")} or newer`] };
}

async function lookAtSystemCalls(): Promise<Outcome> {
  try {
    const { originalDestination } = await import("../../workers/system-calls.ts");
    // A descriptor that nobody can have: the kernel must be the one who says no.
    return originalDestination(-1) === null ? PASSED : { problem: ["a system call for a descriptor that is none worked"] };
  } catch (error) {
    return { problem: [(error as Error).message.split("\n")[0]!] };
  }
}
