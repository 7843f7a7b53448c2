// The roots that proxies begin with, as ConfigMaps at the end of a stream: one for each namespace, because a pod mounts only its own namespace's.
//
// Each stands behind a separator of ours that tells `weft uninject` where it began, and whether the text before it ended in a line end.

import { X509Certificate } from "node:crypto";
import { stringify } from "yaml";
import { isRecord } from "./manifests.ts";
import type { Resource } from "./manifests.ts";
import { PART_LABEL, TRUST_ROOTS_CONFIG_MAP, TRUST_ROOTS_KEY } from "./names.ts";
import { readTexts } from "./workloads.ts";

const PART = "trust-roots";
const SEPARATOR = "--- # added by weft inject";
const WITH_LINE_END = ", and the line end before it";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, which must be authorities'; throws an Error that says what is wrong. */
export function checkTrustRoots(pem: string): string {
  const blocks = pem.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw new Error("has no certificate in PEM");
  for (const block of blocks) {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(block);
    } catch {
      throw new Error("has a certificate that cannot be read");
    }
    if (!certificate.ca) throw new Error(`has a certificate that is no authority's: ${certificate.subject}`);
  }
  return `${blocks.join("\n")}\n`;
}

/** A ConfigMap as one document, without a separator. */
export function trustRootsConfigMap(namespace: string, pem: string): string {
  const metadata = { name: TRUST_ROOTS_CONFIG_MAP, namespace, labels: { [PART_LABEL]: PART } };
  return stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { [TRUST_ROOTS_KEY]: pem } }, { lineWidth: 0, version: "1.1" });
}

/** The text with a ConfigMap for each of these namespaces that has none in it. */
export function addTrustRoots(resources: readonly Resource[], text: string, namespaces: readonly string[], pem: string): string {
  const there = new Set(resources.filter(isTrustRoots).map(({ namespace }) => namespace));
  let result = text;
  for (const namespace of namespaces.filter((one) => !there.has(one))) {
    const hasLineEnd = result === "" || result.endsWith("\n");
    result += `${hasLineEnd ? "" : "\n"}${SEPARATOR}${hasLineEnd ? "" : WITH_LINE_END}\n${trustRootsConfigMap(namespace, pem)}`;
  }
  return result;
}

/** The text without them, as far as they stand behind our separator. */
export function removeTrustRoots(text: string): string {
  const parts = text.split(/(?=^--- # added by weft inject(?:, and the line end before it)?\r?$)/m);
  let result = parts[0]!;
  for (const part of parts.slice(1)) {
    const [, withLineEnd = ""] = /^--- # added by weft inject(, and the line end before it)?/.exec(part)!;
    const body = part.slice(part.indexOf("\n") + 1);
    const isOurs = new RegExp(`^    ${PART_LABEL}: ${PART}\\r?$`, "m").test(body) && /^kind: ConfigMap\r?$/m.test(body);
    if (!isOurs) {
      result += part;
      continue;
    }
    if (withLineEnd !== "") result = result.replace(/\r?\n$/, "");
    // What somebody else put behind it stays.
    const next = /^(?:---|\.\.\.)(?:[ \t]|\r?$)/m.exec(body);
    if (next !== null) result += body.slice(next.index);
  }
  return result;
}

/** True for a ConfigMap of ours. */
export function isTrustRoots({ kind, value }: { readonly kind: string; readonly value: Readonly<Record<string, unknown>> }): boolean {
  const { metadata } = value;
  return kind === "ConfigMap" && isRecord(metadata) && readTexts(metadata["labels"])[PART_LABEL] === PART;
}
