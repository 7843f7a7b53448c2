// The policy of one inbound listener in one thread: who may come in, counted and logged (linkerd.md 6.2 to 6.4).
//
// A connection asks for its pass: what the policy says of a client like that one. Passes are kept per rule and identity, so a request
// of a connection that has one costs a comparison and one addition. A policy that changes makes all passes out of date: requests ask
// again, and opaque connections that may not stay are cut. The gate of a listener is one object for as long as the thread lives.

import { type Authorization, authorize, type ClientNetwork } from "../core/policy/authorization.ts";
import { authorizationsOf } from "../core/policy/default-policy.ts";
import { parseIdentityPattern } from "../core/policy/identity-pattern.ts";
import { type Network, parseAddress, parseNetwork } from "../core/policy/network.ts";
import { ERRORS } from "../core/errors/error-codes.ts";
import type { Labels } from "../core/telemetry/labels.ts";
import type { MetricName } from "../core/telemetry/metric-names.ts";
import type { Recorder } from "../core/telemetry/recorder.ts";
import type { AllowRule, InboundPolicy } from "../config/snapshot.ts";
import type { PeerLabels } from "./client-peer.ts";
import type { PolicyLog } from "./policy-log.ts";
import type { Transport } from "./transport.ts";

const ANYONE: InboundPolicy = { name: "all-unauthenticated", networks: [] };

/** Linkerd's kinds: of policies with a name of their own, of a port for which rules are written, of such rules. */
const DEFAULT_KIND = "default";
const SERVER_KIND = "server";
const RULE_KIND = "authorizationpolicy";

/** Passes kept per gate: one per rule and identity. Over it they are made again. */
const PASSES_MAX = 1024;

/** What the policy says of clients of one kind. */
export interface Pass {
  /** Of the gate and its policy: out of date at any other. */
  readonly generation: object;
  /** Null: refused. */
  readonly rule: Authorization | null;
  readonly labels: Labels;
  /** Slots of the recorder; -1 until something is counted there. */
  httpSlot: number;
  tcpSlot: number;
}

/** Labels of a listener's connections: target_addr, target_ip, target_port. */
export interface GateLabels extends Readonly<Record<string, string>> {
  readonly target_addr: string;
  readonly target_port: string;
}

export class InboundGate {
  readonly #recorder: Recorder;
  readonly #log: PolicyLog;
  readonly #passes = new Map<string, Pass>();
  #generation: object = {};
  #said = "";
  #target: GateLabels = { target_addr: "", target_port: "" };
  #policy: InboundPolicy = ANYONE;
  #rules: readonly Authorization[] = rulesOf(ANYONE);

  constructor(recorder: Recorder, log: PolicyLog) {
    this.#recorder = recorder;
    this.#log = log;
  }

  /** The listener as it is configured now. True when connections that are open have to be looked at again. */
  update(policy: InboundPolicy | undefined, target: GateLabels): boolean {
    const said = JSON.stringify([policy, target]);
    if (said === this.#said) return false;
    this.#said = said;
    this.#generation = {};
    this.#passes.clear();
    this.#target = target;
    this.#policy = policy ?? ANYONE;
    this.#rules = rulesOf(this.#policy);
    return true;
  }

  /** The rule's name, for people. */
  get policyName(): string {
    return `${this.#kind}:${this.#policy.name}`;
  }

  get #kind(): string {
    return "allow" in this.#policy ? SERVER_KIND : DEFAULT_KIND;
  }

  isCurrent(pass: Pass | null): pass is Pass {
    return pass !== null && pass.generation === this.#generation;
  }

  /** What the policy says of this client. Nothing is counted. */
  passOf(transport: Transport): Pass {
    const { identity, labels } = transport.peer;
    const isAnyAddress = this.#rules.every(({ networks }) => networks === null);
    const address = isAnyAddress ? null : parseAddress(transport.peerAddress().address);
    const rule = authorize(this.#rules, { address, identity });
    const key = `${rule === null ? -1 : this.#rules.indexOf(rule)} ${labels.tls} ${labels.client_id ?? ""} ${labels.no_tls_reason ?? ""} ${labels.sni ?? ""}`;
    const known = this.#passes.get(key);
    if (known !== undefined) return known;
    if (this.#passes.size >= PASSES_MAX) this.#passes.clear();
    const pass: Pass = { generation: this.#generation, rule, labels: this.#labels(rule, labels), httpSlot: -1, tcpSlot: -1 };
    this.#passes.set(key, pass);
    return pass;
  }

  /** Linkerd's labels. Where no rules are written for a port, the policy's name stands for it, as in Linkerd where there is no Server. */
  #labels(rule: Authorization | null, peer: PeerLabels): Labels {
    return {
      ...this.#target,
      srv_group: "",
      srv_kind: this.#kind,
      srv_name: this.#policy.name,
      srv_port: this.#target.target_port,
      ...(rule !== null && { authz_group: "", authz_kind: rule.kind, authz_name: rule.name }),
      ...peer,
    };
  }

  // --- HTTP: per request --------------------------------------------------------------------------------------------

  /** Counts a request of a client with this pass, which must be current. False: refused. */
  admitRequest(pass: Pass, transport: Transport): boolean {
    if (pass.httpSlot < 0) {
      const metric = pass.rule === null ? "inbound_http_authz_deny_total" : "inbound_http_authz_allow_total";
      pass.httpSlot = this.#recorder.counter(metric, { ...pass.labels, route_group: "", route_kind: "default", route_name: "default" });
    }
    this.#recorder.slots[pass.httpSlot]! += 1;
    if (pass.rule === null) this.#note(`[WEFT_UNAUTHORIZED] ${ERRORS.WEFT_UNAUTHORIZED.cause}`, transport, "http");
    else if (isAudit(pass.rule)) this.#note("a request that the policy audit admits", transport, "http");
    return pass.rule !== null;
  }

  // --- opaque connections: once, and when the policy changes --------------------------------------------------------

  /** Would the client be admitted? Nothing is counted. */
  admits(transport: Transport): boolean {
    return this.passOf(transport).rule !== null;
  }

  /** Counts an opaque connection. False: it has to be closed, before anything is dialled. */
  admitConnection(transport: Transport): boolean {
    const pass = this.passOf(transport);
    if (pass.tcpSlot < 0) {
      const metric = pass.rule === null ? "inbound_tcp_authz_deny_total" : "inbound_tcp_authz_allow_total";
      pass.tcpSlot = this.#recorder.counter(metric, pass.labels);
    }
    this.#recorder.slots[pass.tcpSlot]! += 1;
    if (pass.rule === null) this.#note(`[WEFT_UNAUTHORIZED] ${ERRORS.WEFT_UNAUTHORIZED.cause}`, transport, "tcp");
    else if (isAudit(pass.rule)) this.#note("a connection that the policy audit admits", transport, "tcp");
    return pass.rule !== null;
  }

  /** After a change: may an established connection stay? False: it has to be cut; that is counted. */
  mayStay(transport: Transport): boolean {
    const pass = this.passOf(transport);
    if (pass.rule !== null) return true;
    this.#count("inbound_tcp_authz_terminate_total", pass.labels);
    this.#note("a connection is cut: the policy has changed and does not admit it any more", transport, "tcp");
    return false;
  }

  #count(metric: MetricName, labels: Labels): void {
    this.#recorder.slots[this.#recorder.counter(metric, labels)]! += 1;
  }

  #note(message: string, transport: Transport, protocol: "http" | "tcp"): void {
    const { address } = transport.peerAddress();
    const { identity } = transport.peer;
    const fields = { target: this.#target.target_addr, rule: this.policyName, protocol, ...(identity !== null && { identity }) };
    this.#log.note(message, address, fields);
  }
}

function isAudit({ kind, name }: Authorization): boolean {
  return kind === DEFAULT_KIND && name === "audit";
}

/** What the configuration has checked, as it is asked here. A text that is no network or identity means nobody. */
function rulesOf(policy: InboundPolicy): readonly Authorization[] {
  if (!("allow" in policy)) return authorizationsOf(policy.name, networksOf(policy.networks));
  return policy.allow.map(({ name, identities, networks }) => ({
    kind: RULE_KIND,
    name,
    identities: identities?.flatMap((text) => parseIdentityPattern(text) ?? []) ?? null,
    networks: networks?.flatMap(clientNetworks) ?? null,
  }));
}

function clientNetworks({ cidr, except }: NonNullable<AllowRule["networks"]>[number]): ClientNetwork[] {
  const parts = networksOf(except);
  return parts.length < except.length ? [] : networksOf([cidr]).map((network) => ({ network, except: parts }));
}

function networksOf(texts: readonly string[]): Network[] {
  return texts.flatMap((text) => {
    const parsed = parseNetwork(text);
    return "ok" in parsed ? [parsed.ok] : [];
  });
}
