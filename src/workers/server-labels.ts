// What metrics call the connections to an endpoint: its identity, or why it has none. Linkerd's words (linkerd.md 2.2).

export interface ServerLabels {
  readonly tls: "true" | "no_identity";
  readonly server_id?: string;
  readonly no_tls_reason?: string;
}

/** Of a proxy that is in no mesh, and of what belongs to no endpoint. */
export const NO_TLS: ServerLabels = { tls: "no_identity", no_tls_reason: "disabled" };

/** @param identity who must be at the endpoint, null: anybody */
export function serverLabels(isInMesh: boolean, direction: "inbound" | "outbound", identity: string | null): ServerLabels {
  if (identity !== null) return { tls: "true", server_id: identity };
  if (!isInMesh) return NO_TLS;
  return { tls: "no_identity", no_tls_reason: direction === "inbound" ? "loopback" : "not_provided_by_service_discovery" };
}
