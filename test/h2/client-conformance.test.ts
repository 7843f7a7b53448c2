// The cases of clients against Node's own HTTP/2 client: what it keeps, and what it does not.

import { connect } from "node:http2";
import { testClient, type Asker } from "./conformance/client-suite.ts";

const NODE_DEPARTS = [
  { id: "client/8.2/4", reason: "RFC 9113 8.2.1: takes CR and LF in values" },
  { id: "client/8.2/5", reason: "RFC 9113 8.2.1: takes NUL in values" },
  { id: "client/8.2/6", reason: "RFC 9113 8.2.1: takes a space in names" },
  { id: "client/8.1.1/1", reason: "RFC 9113 8.1.1: a body that is too long ends the connection with INTERNAL_ERROR" },
];

/** A connection of its own for each request. */
function askOnce(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`, { settings: { enablePush: false } });
    const settle = (isWhole: boolean): void => {
      session.destroy();
      resolve(isWhole);
    };
    session.on("error", () => settle(false));
    session.on("close", () => settle(false));
    const stream = session.request({ ":path": "/" });
    let status: unknown;
    stream.on("response", (fields) => {
      status = fields[":status"];
    });
    stream.on("error", () => settle(false));
    stream.on("end", () => settle(status === 200 && stream.rstCode === 0));
    stream.resume();
  });
}

testClient("node:http2", async (port): Promise<Asker> => ({ ask: () => askOnce(port), stop: async () => {} }), NODE_DEPARTS);
