// Where the identity component is and what it is called, and whether anybody is there at all.

import { connect } from "node:net";
import type { HostPort } from "../../config/snapshot.ts";
import { identityName, parseIdentityName } from "../../core/identity/names.ts";
import type { ComponentPlace } from "./component-connection.ts";
import { foreignText, IdentityError } from "./identity-failure.ts";

/** The account of the identity component, in its control namespace. */
const COMPONENT = "identity";

/** A TCP handshake that takes longer is none. */
const REACH_TIMEOUT_MS = 5_000;

/** The identity component of a workload's mesh: control namespace and trust domain are the workload's own. */
export function componentOf(address: HostPort, workload: string): ComponentPlace {
  const identity = parseIdentityName(workload);
  if (identity === null) throw new IdentityError("internal", "a proxy's own name is no identity");
  const { controlNamespace, trustDomain } = identity;
  return { address, name: identityName({ account: COMPONENT, namespace: controlNamespace, controlNamespace, trustDomain }) };
}

/** Resolves when something accepts connections there; rejects with an IdentityError (`unreachable`). */
export function reachComponent({ host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: REACH_TIMEOUT_MS });
    const fail = (text: string) => {
      socket.destroy();
      reject(new IdentityError("unreachable", foreignText(text)));
    };
    socket.on("error", (error) => fail(error.message));
    socket.on("timeout", () => fail(`no answer within ${REACH_TIMEOUT_MS} ms`));
    socket.on("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}
