// Where the binary of uWebSockets.js does not load, node:http serves. The loading is made to fail as it does on Node 26.

import assert from "node:assert/strict";
import { registerHooks } from "node:module";
import { test } from "node:test";
import { createAdminServer } from "../../src/admin/create-admin-server.ts";
import { ask } from "./support/raw-http.ts";

registerHooks({
  resolve(specifier, context, nextResolve) {
    if (specifier === "uWebSockets.js") throw new Error("no binary for this Node");
    return nextResolve(specifier, context);
  },
});

test("without the binary, node:http serves the same routes", async (t) => {
  const server = await createAdminServer({ onError: () => {} });
  assert.equal(server.backend, "node");
  server.route("GET", "/live", () => ({ status: 200, body: "live\n" }));
  const port = await server.listen("127.0.0.1", 0);
  t.after(() => server.close());
  assert.equal((await ask(port, "GET", "/live")).body.toString(), "live\n");
});

test("who asks for uWebSockets.js by name hears why it is not there", async () => {
  await assert.rejects(createAdminServer({ backend: "uws", onError: () => {} }), /no binary for this Node/);
});
