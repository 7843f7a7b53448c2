// The cases of HTTP/2 clients against HAProxy's upstream side: what a proxy makes of bad answers. Cases in which Debian's HAProxy departs
// from the RFC say nothing about the case and are left out. What HAProxy does not keep, nghttp does: the same cases, asked directly.

import { isListening } from "../../bench/support/child.ts";
import { askThrough, type Asker, testClient } from "../h2/conformance/client-suite.ts";
import { clientCases } from "../h2/conformance/client-cases.ts";
import { startH2Haproxy } from "./support/h2-haproxy.ts";
import { runTool } from "./support/tools.ts";

/** What HAProxy 2.6 does instead. */
const DEPARTS: Readonly<Record<string, string>> = {
  "client/8.1.1/1": "passes on a body that is longer than its Content-Length",
  "client/8.1.1/2": "passes on a body that is shorter than its Content-Length, as a whole one",
  "client/8.1.1/4": "ends with a crash",
  "client/8.1.1/6": "takes the second head for the end",
  "client/8.1.1/7": "takes the bad trailers for the end",
  "client/6.1/3": "ends the answer as if it were whole",
  "client/6.5/1": "lets the server enable push",
};

/** Each question gets a HAProxy of its own: some answers have ended the process. */
async function askOnce(serverPort: number): Promise<boolean> {
  const proxy = await startH2Haproxy([serverPort], "http/2", "never");
  try {
    const isWhole = await askThrough(proxy.port);
    // A crash would pass for a refusal.
    if (!(await isListening(proxy.port))) throw new Error("HAProxy is gone");
    return isWhole;
  } finally {
    await proxy.stop();
  }
}

const keptCases = clientCases().filter(({ id }) => !(id in DEPARTS));

testClient("HAProxy", async (port): Promise<Asker> => ({ ask: () => askOnce(port), stop: async () => {} }), [], keptCases);

/** What `nghttp -v` says when it refuses: an error of its own, not the courteous GOAWAY at the end. */
const NGHTTP_REFUSAL = /send (RST_STREAM|GOAWAY) frame[^\n]*\n[^\n]*?\(error_code=(?!NO_ERROR)/;

async function askNghttp(serverPort: number): Promise<boolean> {
  const url = `http://127.0.0.1:${serverPort}/`;
  const { stdout } = await runTool("nghttp", ["-nv", "--no-dep", "--timeout=5", url]);
  const text = stdout.toString("latin1").replaceAll(/\x1b\[[0-9;]*m/g, "");
  const isWhole = /recv (HEADERS|DATA) frame [^\n]*\n +; END_STREAM/.test(text) && /:status: 200/.test(text);
  return isWhole && !NGHTTP_REFUSAL.test(text);
}

testClient("nghttp", async (port): Promise<Asker> => ({ ask: () => askNghttp(port), stop: async () => {} }));
