// The name of a workload, in the two forms that certificates carry it: a DNS name as Linkerd has it, and a SPIFFE URI.
//
//   <account>.<namespace>.serviceaccount.identity.<control namespace>.<trust domain>
//   spiffe://<trust domain>/ns/<namespace>/sa/<account>
//
// Strict, because names are compared to decide who somebody is: lower-case DNS labels only (RFC 1035 section 2.3.1), so no upper
// case, no NUL, no escapes, no trailing dot, no empty label, nothing over 253 bytes. One identity has exactly one text in each form.
// A SPIFFE URI says nothing of the control namespace; who parses one says which it is.

/** Who a workload is. Every part is made of lower-case DNS labels. */
export interface WorkloadIdentity {
  /** The service account; for Weft's own tokens, the workload's name. */
  readonly account: string;
  readonly namespace: string;
  /** Where the control plane lives: `weft`, for a Linkerd control plane `linkerd`. */
  readonly controlNamespace: string;
  /** One label or more. */
  readonly trustDomain: string;
}

export const DEFAULT_CONTROL_NAMESPACE = "weft";
export const DEFAULT_TRUST_DOMAIN = "cluster.local";

/** Characters of a DNS name (RFC 1035 section 3.1, without the length bytes and the root). */
const NAME_LENGTH_MAX = 253;

/** Characters of a label (RFC 1035 section 2.3.4). */
const LABEL_LENGTH_MAX = 63;

const LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;

/** Labels before the trust domain: account, namespace, the two words, control namespace. */
const LABELS_BEFORE_DOMAIN = 5;

const KIND = "serviceaccount";
const PLACE = "identity";
const SCHEME = "spiffe://";

/** True for 1 to 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit. */
export function isDnsLabel(text: string): boolean {
  return text.length <= LABEL_LENGTH_MAX && LABEL.test(text);
}

/** True for a trust domain: labels joined by dots, at most 253 characters. */
export function isTrustDomain(text: string): boolean {
  return text.length <= NAME_LENGTH_MAX && text.split(".").every(isDnsLabel);
}

/** `weft.cluster.local`: a control namespace, then a trust domain; null for any other text. */
export function parseMesh(text: string): Pick<WorkloadIdentity, "controlNamespace" | "trustDomain"> | null {
  const dot = text.indexOf(".");
  if (dot < 0 || !isDnsLabel(text.slice(0, dot)) || !isTrustDomain(text.slice(dot + 1))) return null;
  return { controlNamespace: text.slice(0, dot), trustDomain: text.slice(dot + 1) };
}

/** What keeps these parts from being an identity, for people; null when nothing does. */
export function identityProblem(identity: WorkloadIdentity): string | null {
  for (const [what, text] of [
    ["name", identity.account],
    ["namespace", identity.namespace],
    ["control namespace", identity.controlNamespace],
  ] as const) {
    if (!isDnsLabel(text)) return `${JSON.stringify(text)} is no ${what}: 1 to 63 lower-case letters, digits and '-'`;
  }
  if (!isTrustDomain(identity.trustDomain)) {
    return `${JSON.stringify(identity.trustDomain)} is no trust domain: lower-case DNS labels joined by dots, for example ${DEFAULT_TRUST_DOMAIN}`;
  }
  const { length } = identityName(identity);
  return length <= NAME_LENGTH_MAX ? null : `the identity's name would be ${length} characters long; DNS allows ${NAME_LENGTH_MAX}`;
}

/** The DNS form. The parts must be valid (`identityProblem`). */
export function identityName({ account, namespace, controlNamespace, trustDomain }: WorkloadIdentity): string {
  return `${account}.${namespace}.${KIND}.${PLACE}.${controlNamespace}.${trustDomain}`;
}

/** The SPIFFE form. The parts must be valid (`identityProblem`). */
export function spiffeUri({ account, namespace, trustDomain }: WorkloadIdentity): string {
  return `${SCHEME}${trustDomain}/ns/${namespace}/sa/${account}`;
}

/** The identity that a DNS name is, null for any other text. */
export function parseIdentityName(text: string): WorkloadIdentity | null {
  if (text.length > NAME_LENGTH_MAX) return null;
  const labels = text.split(".");
  if (labels.length <= LABELS_BEFORE_DOMAIN || !labels.every(isDnsLabel)) return null;
  const [account, namespace, kind, place, controlNamespace] = labels as [string, string, string, string, string];
  if (kind !== KIND || place !== PLACE) return null;
  return { account, namespace, controlNamespace, trustDomain: labels.slice(LABELS_BEFORE_DOMAIN).join(".") };
}

/** The identity that a SPIFFE URI is, within that control namespace; null for any other text. */
export function parseSpiffeUri(text: string, controlNamespace: string = DEFAULT_CONTROL_NAMESPACE): WorkloadIdentity | null {
  if (text.length > SCHEME.length + 2 * NAME_LENGTH_MAX || !text.startsWith(SCHEME)) return null;
  const parts = text.slice(SCHEME.length).split("/");
  const [trustDomain, ns, namespace, sa, account] = parts as [string, string, string, string, string];
  if (parts.length !== 5 || ns !== "ns" || sa !== "sa") return null;
  const identity = { account, namespace, controlNamespace, trustDomain };
  return identityProblem(identity) === null ? identity : null;
}

/** Either form. */
export function parseIdentity(text: string, controlNamespace: string = DEFAULT_CONTROL_NAMESPACE): WorkloadIdentity | null {
  return text.startsWith(SCHEME) ? parseSpiffeUri(text, controlNamespace) : parseIdentityName(text);
}

/** True when both are one workload: every part is equal. */
export function isSameIdentity(left: WorkloadIdentity, right: WorkloadIdentity): boolean {
  return (
    left.account === right.account &&
    left.namespace === right.namespace &&
    left.controlNamespace === right.controlNamespace &&
    left.trustDomain === right.trustDomain
  );
}
