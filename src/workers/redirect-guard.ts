// Do the proxy's own connections come back to it? They do when it runs as another user than the one that the redirecting rules exempt,
// and then each connection makes another one without end.
//
// Who has the other end of a redirected connection stands in the kernel's table of sockets. The table may be long, so few connections
// are looked at: the first of a worker, one whenever twice as many are open as ever before (a loop gets there at once), and after a
// find all of them until a few in a row were others'. Nothing of the proxy's own user is ever redirected where the rules are
// right, so a find is always a mistake.

import { readFileSync } from "node:fs";
import { socketOwner } from "../core/tcp/socket-table.ts";
import type { Log } from "./forwarder-types.ts";

/** Looks, counted again from each find. The second connection of a loop is the proxy's own already. */
const LOOKS = 4;
/** Open connections of a worker at which one is looked at for the first time because of their number. */
const MANY = 16;
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

export class RedirectGuard {
  readonly #log: Log;
  readonly #uid = process.geteuid?.() ?? -1;
  #looks = LOOKS;
  #next = MANY;
  #hasFound = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** True when the connection from this address is one of the proxy's own user. `open`: connections that the worker has. */
  isOwn(peer: { readonly host: string; readonly port: number }, open: number): boolean {
    if (open >= this.#next) this.#next = 2 * open;
    else if (this.#looks === 0) return false;
    else this.#looks--;
    if (!TABLES.some((path) => socketOwner(readTable(path), peer.host, peer.port) === this.#uid)) return false;
    this.#looks = LOOKS;
    if (!this.#hasFound) {
      this.#hasFound = true;
      const advice = `run the proxy as the user that weft init exempts, or weft init --proxy-uid ${this.#uid}`;
      this.#log("error", `[WEFT_LOOP] connections of this proxy's own user are redirected to it; ${advice}`, { uid: this.#uid });
    }
    return true;
  }
}

function readTable(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // Without IPv6 there is no tcp6.
    return "";
  }
}
