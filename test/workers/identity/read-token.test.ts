// What a proxy says of a join token that it cannot use: which of absent, empty and no token it is, and what to do.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { TOKEN_VARIABLE } from "../../../src/config/config-source.ts";
import { readToken } from "../../../src/workers/identity/read-token.ts";
import { joinToken } from "../../support/join-token.ts";
import { within } from "../../support/wait.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const MAKE = "make one where the identity component is: weft identity token create --data FOLDER --name NAME --namespace NAMESPACE";

describe("a join token", () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "weft-read-token-"));
    file = join(folder, "web.token");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("is taken from its file and from the environment, with the line end that editors leave", async () => {
    const token = joinToken({ identity: NAME });
    writeFileSync(file, `${token}\n`);
    assert.equal((await readToken(file, {})).text, token);
    assert.equal((await readToken(null, { [TOKEN_VARIABLE]: token })).text, token);
  });

  it("that is absent, empty, or no token is said to be that, and how to make one", async () => {
    await assert.rejects(readToken(`${file}.none`, {}), {
      reason: "token",
      message: `the token file ${file}.none cannot be read: ENOENT, it is not there; ${MAKE} --file ${file}.none`,
    });
    writeFileSync(file, "\n");
    await assert.rejects(readToken(file, {}), { reason: "token", message: `the token file ${file} is empty; ${MAKE} --file ${file}` });
    writeFileSync(file, "-----BEGIN CERTIFICATE-----\n");
    await assert.rejects(readToken(file, {}), {
      reason: "token",
      message: `the token file ${file} holds no join token: it is no JWT; ${MAKE} --file ${file}`,
    });
    await assert.rejects(readToken(folder, {}), { reason: "token", message: `the token file ${folder} is no file` });
    await assert.rejects(readToken(null, { [TOKEN_VARIABLE]: "" }), {
      reason: "token",
      message: `the environment variable ${TOKEN_VARIABLE} is empty; ${MAKE}`,
    });
    await assert.rejects(readToken(null, { [TOKEN_VARIABLE]: "a.b" }), {
      reason: "token",
      message: `the environment variable ${TOKEN_VARIABLE} holds no join token: it is no JWT; ${MAKE}`,
    });
  });

  // Story: the proxy waited for somebody to write into it, and said nothing.
  it("is not waited for where a pipe is in its place", async () => {
    const pipe = join(folder, "pipe.token");
    execFileSync("mkfifo", [pipe]);
    await assert.rejects(within("an answer", readToken(pipe, {})), { reason: "token", message: `the token file ${pipe} is no file` });
  });
});
