// What annotations say about a pod's sidecar, checked: flags first, above them the namespace's, above those the pod's own (Linkerd's names).
//
// A value that means nothing is an error, not a default: a port that was to be opaque and is not would be found out in production.
// Annotations of Linkerd that have no effect here are told, by name.

import type { DefaultPolicy } from "../../../core/policy/default-policy.ts";
import { parseDurationMs } from "../../../core/util/duration.ts";
import { parsePorts } from "../../init/rules.ts";
import {
  additionalEnv,
  ENOUGH_MEMORY,
  expectedOf,
  isTooLittleMemory,
  type LogLevelName,
  logLevelOf,
  type PULL_POLICIES,
} from "../linkerd-settings.ts";
import type { KubernetesInjectOptions } from "./options.ts";

const PREFIX = /^config\.(?:(?:alpha|beta)\.)?linkerd\.io\//;

/** Linkerd's defaults. */
export const OPAQUE_PORTS = "25,587,3306,4444,5432,6379,9300,11211";
const SKIP_PORTS = "4567,4568";

/** Single ports that ranges may stand for: each is an entry of the sidecar's configuration. */
const PORTS_MAX = 512;

/** The longest wait before a sidecar stops; beyond it a pod's grace period is not what anybody means. */
const WAIT_BEFORE_EXIT_MAX_S = 3_600;

const QUANTITY = /^(?:[0-9]+|[0-9]*\.[0-9]+|[0-9]+\.)(?:[eE][+-]?[0-9]+|[numkKMGTPE]|[KMGTPE]i)?$/;
const IMAGE = /^[a-z0-9](?:[\w./:-]*[\w])?(?:@sha256:[0-9a-f]{64})?$/i;

export interface PodSettings {
  readonly isEnabled: boolean;
  readonly image: string;
  readonly imagePullPolicy: (typeof PULL_POLICIES)[number];
  readonly ports: { readonly inbound: number; readonly outbound: number; readonly admin: number };
  readonly skipInbound: string;
  readonly skipOutbound: string;
  readonly skipSubnets: string;
  readonly opaquePorts: readonly number[];
  readonly requireIdentityPorts: readonly number[];
  readonly policy: DefaultPolicy;
  readonly logLevel: LogLevelName;
  readonly accessLog: "off" | "apache" | "json";
  readonly hasShutdown: boolean;
  /** Null: the proxy's own default. */
  readonly drainGraceMs: number | null;
  /** Null: the proxy's own default. */
  readonly connectTimeoutMs: number | null;
  readonly waitBeforeExitS: number;
  readonly isNative: boolean;
  readonly isAwaited: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
  /** Further variables of the sidecar. */
  readonly variables: readonly (readonly [string, string])[];
}

export interface ReadSettings {
  readonly settings: PodSettings;
  /** Annotations that have no effect. */
  readonly ignored: readonly string[];
}

/** A value that means nothing: the annotation, and what was expected. */
export class SettingProblem extends Error {
  override readonly name = "SettingProblem";
}

/** `layers`: the weakest first. Throws a SettingProblem. */
export function readSettings(options: KubernetesInjectOptions, layers: readonly Readonly<Record<string, string>>[]): ReadSettings {
  const reader = new Reader([options.annotations, ...layers]);
  const image = imageOf(options.image, reader);
  const settings: PodSettings = {
    isEnabled: reader.enabled(),
    image,
    imagePullPolicy: reader.shared("image-pull-policy", "IfNotPresent") as PodSettings["imagePullPolicy"],
    ports: {
      inbound: Number(reader.shared("inbound-port", "4143")),
      outbound: Number(reader.shared("outbound-port", "4140")),
      admin: Number(reader.shared("admin-port", "4191")),
    },
    skipInbound: reader.portList("skip-inbound-ports", SKIP_PORTS),
    skipOutbound: reader.portList("skip-outbound-ports", SKIP_PORTS),
    skipSubnets: reader.shared("skip-subnets", ""),
    opaquePorts: reader.ports("opaque-ports", OPAQUE_PORTS),
    requireIdentityPorts: reader.ports("proxy-require-identity-inbound-ports", ""),
    policy: reader.shared("default-inbound-policy", "all-unauthenticated") as DefaultPolicy,
    logLevel: logLevelOf(reader.shared("proxy-log-level", "info"))!,
    accessLog: reader.oneOf("access-log", ["off", "apache", "json"], "off"),
    hasShutdown: reader.flag("proxy-admin-shutdown", true),
    drainGraceMs: parseDurationMs(reader.shared("shutdown-grace-period", "")),
    connectTimeoutMs: parseDurationMs(reader.shared("proxy-outbound-connect-timeout", "")),
    waitBeforeExitS: reader.whole("proxy-wait-before-exit-seconds", 0, 0, WAIT_BEFORE_EXIT_MAX_S),
    isNative: reader.flag("proxy-enable-native-sidecar", options.nativeSidecar),
    isAwaited: reader.flag("proxy-await", true),
    uid: Number(reader.shared("proxy-uid", "2102")),
    gid: reader.whole("proxy-gid", 2102, 1, 2 ** 31 - 1),
    requests: reader.quantities("request"),
    limits: reader.quantities("limit"),
    variables: reader.variables(),
  };
  return { settings, ignored: reader.unread() };
}

/** Single ports of a list such as `25,8000-8010`. Throws a SettingProblem; `what` names the list. */
export function expandPorts(text: string, what: string): readonly number[] {
  const parsed = parsePorts(text.replaceAll(/\s/g, ""));
  if (parsed === null) throw new SettingProblem(`${what}: ${JSON.stringify(text)}; expected ports and ranges such as 25,8000-8010`);
  const ports = new Set<number>();
  for (const part of parsed) {
    const [first, last = first] = part.split(":").map(Number) as [number, number?];
    if (last - first + ports.size >= PORTS_MAX) throw new SettingProblem(`${what}: more than ${PORTS_MAX} ports`);
    for (let port = first; port <= last; port++) ports.add(port);
  }
  return [...ports];
}

function imageOf(image: string, reader: Reader): string {
  const name = reader.checked("proxy-image", "", (text) => IMAGE.test(text), "an image such as registry.example/weft");
  const tag = reader.shared("proxy-version", "");
  const { base, own } = splitImage(image);
  if (name === "" && tag === "") return image;
  if (name !== "" && splitImage(name).own !== "") return name;
  return `${name === "" ? base : name}:${tag === "" ? own : tag}`;
}

/** The tag is behind the last colon that no slash follows: a registry may have a port. A digest stays with the name. */
function splitImage(image: string): { readonly base: string; readonly own: string } {
  const match = /^(.*):([^/:@]+)$/.exec(image);
  return match === null || image.includes("@") ? { base: image, own: image.includes("@") ? "@" : "" } : { base: match[1]!, own: match[2]! };
}

class Reader {
  readonly #values = new Map<string, { readonly text: string; readonly annotation: string }>();
  readonly #read = new Set<string>();
  #inject = "enabled";

  constructor(layers: readonly Readonly<Record<string, string>>[]) {
    for (const layer of layers) {
      for (const [annotation, text] of Object.entries(layer)) {
        if (PREFIX.test(annotation)) this.#values.set(annotation.replace(PREFIX, ""), { text: text.trim(), annotation });
        else if (annotation === "linkerd.io/inject") this.#inject = text;
      }
    }
  }

  enabled(): boolean {
    if (this.#inject !== "disabled" && this.#inject !== "enabled" && this.#inject !== "ingress") {
      throw new SettingProblem(`linkerd.io/inject: ${JSON.stringify(this.#inject)}; expected enabled or disabled`);
    }
    return this.#inject !== "disabled";
  }

  /** By the rule that holds for every kind of injector. */
  shared(name: string, byDefault: string): string {
    const { text = "" } = this.#values.get(name) ?? {};
    return this.checked(name, byDefault, () => expectedOf(name, text) === null, expectedOf(name, text) ?? "");
  }

  checked(name: string, byDefault: string, isGood: (text: string) => boolean, expected: string): string {
    this.#read.add(name);
    const value = this.#values.get(name);
    if (value === undefined) return byDefault;
    if (isGood(value.text)) return value.text;
    throw new SettingProblem(`${value.annotation}: ${JSON.stringify(value.text)}; expected ${expected}`);
  }

  oneOf<const T extends string>(name: string, values: readonly T[], byDefault: T): T {
    return this.checked(name, byDefault, (text) => (values as readonly string[]).includes(text), `one of ${values.join(", ")}`) as T;
  }

  flag(name: string, byDefault: boolean): boolean {
    const text = this.oneOf(name, ["true", "false", "enabled", "disabled"], byDefault ? "true" : "false");
    return text === "true" || text === "enabled";
  }

  whole(name: string, byDefault: number, min: number, max: number): number {
    const isGood = (text: string) => /^[0-9]{1,10}$/.test(text) && Number(text) >= min && Number(text) <= max;
    return Number(this.checked(name, String(byDefault), isGood, `a whole number from ${min} to ${max}`));
  }

  portList(name: string, byDefault: string): string {
    const isGood = (text: string) => expectedOf(name, text.replaceAll(/\s/g, "")) === null;
    return this.checked(name, byDefault, isGood, "ports and ranges such as 25,8000-8010").replaceAll(/\s/g, "");
  }

  ports(name: string, byDefault: string): readonly number[] {
    return expandPorts(this.portList(name, byDefault), this.#values.get(name)?.annotation ?? name);
  }

  variables(): readonly (readonly [string, string])[] {
    const expected = 'a list such as [{"name": "A", "value": "b"}], without WEFT_CONFIG';
    const isGood = (given: string) => additionalEnv(given)?.every(([name]) => name !== "WEFT_CONFIG") === true;
    return additionalEnv(this.checked("proxy-additional-env", "[]", isGood, expected)) ?? [];
  }

  quantities(kind: "request" | "limit"): Record<string, string> {
    const found: Record<string, string> = {};
    for (const what of ["cpu", "memory", "ephemeral-storage"]) {
      const isLimit = what === "memory" && kind === "limit";
      const isGood = (given: string) => QUANTITY.test(given) && !(isLimit && isTooLittleMemory(given));
      const text = this.checked(`proxy-${what}-${kind}`, "", isGood, isLimit ? ENOUGH_MEMORY : "a quantity such as 100m or 64Mi");
      if (text !== "") found[what] = text;
    }
    return found;
  }

  unread(): readonly string[] {
    return [...this.#values].filter(([name]) => !this.#read.has(name)).map(([, { annotation }]) => annotation);
  }
}
