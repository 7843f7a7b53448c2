// HTTP/2 machinery that the connections of one worker share: limits and scratch memory, which exist once somebody speaks HTTP/2.

import type { Limits } from "../config/limits.ts";
import { H2Connection } from "../core/h2/connection.ts";
import type { H2ConnectionOwner, H2Output, H2Session } from "../core/h2/contract.ts";
import type { H2Limits } from "../core/h2/limits.ts";
import { H2Scratch } from "../core/h2/scratch.ts";
import { h2Limits } from "./h2-limits.ts";

export class H2Shared {
  #limits: H2Limits;
  #scratch: H2Scratch | null = null;

  constructor(limits: Limits) {
    this.#limits = h2Limits(limits);
  }

  /** New limits hold for connections that begin later. */
  setLimits(limits: Limits): void {
    this.#limits = h2Limits(limits);
    this.#scratch = null;
  }

  /** The protocol of a client's connection; `isMesh`: of another proxy's. */
  server(owner: H2ConnectionOwner, output: H2Output, isMesh: boolean): H2Session {
    return this.#connection(owner, output, true, isMesh);
  }

  /** The protocol of a connection to an endpoint. */
  client(owner: H2ConnectionOwner, output: H2Output, isMesh: boolean): H2Session {
    return this.#connection(owner, output, false, isMesh);
  }

  #connection(owner: H2ConnectionOwner, output: H2Output, isServer: boolean, isMesh: boolean): H2Session {
    this.#scratch ??= new H2Scratch(this.#limits);
    const limits = this.#limits;
    return new H2Connection({
      isServer,
      owner,
      output,
      limits,
      scratch: this.#scratch,
      isHttps: false,
      isMesh,
      takesExtendedConnect: isServer,
    });
  }
}
