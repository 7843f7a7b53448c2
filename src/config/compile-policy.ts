// `policy` and `clusterNetworks` of spec.inbound: who may come in at each inbound port.
//
// Refused: what is no network, a list or a rule that admits nobody or says nothing, a policy that asks clients for identities at a proxy that has
// none itself or at a port with ordinary TLS, because nobody could prove one there. Networks that no policy looks at are a warning.

import { DEFAULT_CLUSTER_NETWORKS, type DefaultPolicy, needsIdentity, needsNetworks } from "../core/policy/default-policy.ts";
import { formatNetwork, isNetworkWithin, type Network, parseNetwork } from "../core/policy/network.ts";
import { formatPath } from "./problem.ts";
import type { Path } from "./problem.ts";
import type { ProxyContext } from "./proxy-context.ts";
import { show } from "./shape-problems.ts";
import type { AllowRule, InboundPolicy } from "./snapshot.ts";

/** Networks are looked at one after the other, once per connection. */
export const CLUSTER_NETWORKS_MAX = 256;

/** Rules of a policy, and what each of their lists may hold: a connection looks at all of it, one after the other, when none admits it. */
export const RULES_MAX = 64;
export const RULE_ENTRIES_MAX = 256;

const NETWORKS_PATH = ["spec", "inbound", "clusterNetworks"];

/** As it is written. */
export interface RuleShape {
  readonly name?: string | undefined;
  readonly identities?: readonly string[] | undefined;
  readonly networks?: readonly { readonly cidr: string; readonly except?: readonly string[] | undefined }[] | undefined;
}

export type PolicyShape = DefaultPolicy | { readonly allow: readonly RuleShape[] };

export class PolicyCompiler {
  readonly #context: ProxyContext;
  readonly #networks: readonly string[];
  /** Those of spec.inbound, compiled: its mistakes are told once. */
  #inherited: readonly AllowRule[] | null = null;
  #usesNetworks = false;

  constructor(context: ProxyContext) {
    this.#context = context;
    const texts = context.shape.spec?.inbound?.clusterNetworks;
    this.#networks = texts === undefined ? DEFAULT_CLUSTER_NETWORKS : this.#readNetworks(texts);
  }

  /** The policy of the port whose keys are at `base`, a listener of that id; null for the one that admits anyone. */
  compile(id: string, base: Path, own: PolicyShape | undefined, hasTls: boolean): InboundPolicy | null {
    const policy = own ?? this.#context.shape.spec?.inbound?.policy ?? "all-unauthenticated";
    const path = own === undefined ? ["spec", "inbound", "policy"] : [...base, "policy"];
    if (typeof policy !== "string") return this.#compileRules(own === undefined ? "inbound" : id, base, path, policy.allow, hasTls);
    if (needsIdentity(policy)) this.#checkIdentity(path, `${formatPath(path)} is ${policy}`, base, hasTls, "");
    if (!needsNetworks(policy)) return policy === "all-unauthenticated" ? null : { name: policy, networks: [] };
    this.#usesNetworks = true;
    if (this.#context.shape.spec?.inbound?.clusterNetworks?.length === 0) {
      const message = `${formatPath(NETWORKS_PATH)} is empty, and ${formatPath(path)} is ${policy}: nobody could come in`;
      const hint = "leave it out for the private networks, list networks such as 10.0.0.0/8, or set policy: deny";
      this.#report(NETWORKS_PATH, "value", message, hint);
    }
    return { name: policy, networks: this.#networks };
  }

  /** After every port. */
  finish(): void {
    if (this.#usesNetworks || this.#context.shape.spec?.inbound?.clusterNetworks === undefined) return;
    const message = `${formatPath(NETWORKS_PATH)} is set, and no policy looks at it`;
    const { document, problems } = this.#context;
    problems.push(document.problemAt(NETWORKS_PATH, "key", "warning", message, "cluster-unauthenticated and cluster-authenticated do"));
  }

  /** Somebody must be able to prove an identity there. */
  #checkIdentity(path: Path, said: string, base: Path, hasTls: boolean, how: string): void {
    const { shape } = this.#context;
    if (shape.spec?.identity === undefined) {
      const message = `${said}, and Proxy ${shape.metadata.name} has no identity itself`;
      this.#report(path, "value", message, "give it spec.identity, so that clients can prove to it who they are");
    }
    if (hasTls) {
      const tls = [...base, "tls"];
      const message = `${said}, and ${formatPath(tls)} is ordinary TLS, by which no client proves who it is: nobody could come in${how}`;
      this.#report(tls, "key", message, "mesh TLS needs no tls key; leave it out, or give the port another policy");
    }
  }

  #compileRules(name: string, base: Path, path: Path, rules: readonly RuleShape[], hasTls: boolean): InboundPolicy {
    const list = [...path, "allow"];
    const asking = rules.findIndex(({ identities }) => identities !== undefined);
    if (asking >= 0) {
      const at = [...list, asking, "identities"];
      this.#checkIdentity(at, `${formatPath(at)} asks clients who they are`, base, hasTls, " by this rule");
    }
    if (name !== "inbound") return { name, allow: this.#readRules(list, rules) };
    this.#inherited ??= this.#readRules(list, rules);
    return { name, allow: this.#inherited };
  }

  #readRules(path: Path, rules: readonly RuleShape[]): readonly AllowRule[] {
    if (!this.#hasEntries(path, rules, RULES_MAX, "rules")) return [];
    const names = new Set<string>();
    return rules.map((rule, index) => {
      const at = [...path, index];
      const { name = `allow-${index + 1}` } = rule;
      if (names.has(name)) this.#report(at, "value", `${formatPath(at)} is the second rule called ${name}`, "give each a name of its own");
      names.add(name);
      return { name, ...this.#readRule(at, rule) };
    });
  }

  #readRule(path: Path, { identities, networks }: RuleShape): Omit<AllowRule, "name"> {
    if (identities === undefined && networks === undefined) {
      const hint = "say identities, networks or both; or set policy: all-unauthenticated";
      this.#report(path, "value", `${formatPath(path)} admits anyone`, hint);
    }
    if (identities !== undefined) this.#hasEntries([...path, "identities"], identities, RULE_ENTRIES_MAX, "identities");
    if (networks !== undefined) this.#hasEntries([...path, "networks"], networks, RULE_ENTRIES_MAX, "networks");
    return {
      identities: identities === undefined ? null : [...new Set(identities)],
      networks: networks?.map((one, index) => this.#readClientNetwork([...path, "networks", index], one)) ?? null,
    };
  }

  #readClientNetwork(
    path: Path,
    { cidr, except = [] }: NonNullable<RuleShape["networks"]>[number],
  ): { readonly cidr: string; readonly except: readonly string[] } {
    const whole = this.#readNetwork([...path, "cidr"], cidr);
    if (except.length > RULE_ENTRIES_MAX) this.#hasEntries([...path, "except"], except, RULE_ENTRIES_MAX, "networks");
    const parts = except.flatMap((text, index) => {
      const at = [...path, "except", index];
      const part = this.#readNetwork(at, text);
      if (part === null || whole === null) return [];
      if (!isNetworkWithin(part, whole)) {
        this.#report(at, "value", `${formatPath(at)} is ${show(text)}, which is no part of ${formatNetwork(whole)}`, null);
      } else if (part.prefix === whole.prefix) {
        this.#report(at, "value", `${formatPath(at)} is all of ${formatNetwork(whole)}: nobody could come in`, "name a part of it");
      }
      return [formatNetwork(part)];
    });
    return { cidr: whole === null ? cidr : formatNetwork(whole), except: [...new Set(parts)] };
  }

  #hasEntries(path: Path, entries: readonly unknown[], max: number, what: string): boolean {
    if (entries.length > 0 && entries.length <= max) return true;
    const message =
      entries.length === 0 ? `${formatPath(path)} is empty: nobody could come in` : `${formatPath(path)} has ${entries.length} ${what}`;
    this.#report(path, "value", message, entries.length === 0 ? "to let nobody in, set policy: deny" : `${max} at most`);
    return false;
  }

  /** In canonical form, without repetitions. */
  #readNetworks(texts: readonly string[]): readonly string[] {
    if (texts.length > CLUSTER_NETWORKS_MAX) {
      const message = `${formatPath(NETWORKS_PATH)} has ${texts.length} networks`;
      this.#report(NETWORKS_PATH, "value", message, `${CLUSTER_NETWORKS_MAX} at most: name larger ones`);
      return [];
    }
    const networks = texts.flatMap((text, index) => this.#readNetwork([...NETWORKS_PATH, index], text) ?? []);
    return [...new Set(networks.map(formatNetwork))];
  }

  #readNetwork(path: Path, text: string): Network | null {
    const parsed = parseNetwork(text);
    if ("ok" in parsed) return parsed.ok;
    const { problem, hint } = parsed.mistake;
    this.#report(path, "value", `${formatPath(path)} is ${show(text)}, which ${problem}`, hint);
    return null;
  }

  #report(path: Path, at: "key" | "value", message: string, hint: string | null): void {
    const { document, problems } = this.#context;
    problems.push(document.problemAt(path, at, "error", message, hint));
  }
}
