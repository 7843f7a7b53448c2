// `weft init --hold` in a network namespace of its own: the rules are there, whoever wrote them at the same time, and what stays has no rights.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { waitUntil } from "../support/wait.ts";
import { Namespace, NODE, PROXY_UID, WEFT } from "./support/namespaces.ts";

const PATIENCE_MS = 60_000;
/** So many at once that they meet: each takes a good part of a second. */
const AT_ONCE = 6;

/** What a compose file gives a holder: four capabilities, and no way to more. */
const AS_HOLDER = ["setpriv", "--bounding-set=-all,+net_admin,+net_raw,+setuid,+setgid", "--inh-caps=-all", "--no-new-privs"];

/** Listens at the name by which writers take turns, and says so. */
const HOARDER = 'require("node:net").createServer().listen("\\0weft-init", () => console.log("mine"));';

let namespace: Namespace;

before(() => {
  namespace = Namespace.create("hold");
});
after(() => namespace.destroy());

/** The table, without counters and dates. */
function rules(): string {
  const { code, stdout } = namespace.run("iptables-save", "-t", "nat");
  assert.equal(code, 0);
  return stdout.replace(/^#.*\n/gm, "").replace(/\[\d+:\d+\]/g, "");
}

function saidBy(child: ChildProcess): { text: string } {
  const said = { text: "" };
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (chunk: Buffer) => (said.text += chunk.toString("utf8")));
  return said;
}

function init(...options: string[]): ReturnType<Namespace["run"]> {
  return namespace.run(NODE, WEFT, "init", ...options);
}

function status(pid: number, field: string): string[] {
  const line = readFileSync(`/proc/${pid}/status`, "latin1").match(new RegExp(`^${field}:[ \\t]*(.*)$`, "m"));
  return (line?.[1] ?? "").split(/\s+/).filter((word) => word !== "");
}

describe("weft init --hold", () => {
  it("writes the rules of its options, then waits as the proxy's user, in no group, without a capability, and ends with 0 at SIGTERM", async () => {
    assert.equal(init("--outbound-ports-to-ignore", "8081").code, 0);
    const wanted = rules();
    assert.equal(init("--remove").code, 0);
    assert.doesNotMatch(rules(), /WEFT/);

    const holder = namespace.start({}, [...AS_HOLDER, NODE, WEFT, "init", "--outbound-ports-to-ignore", "8081", "--hold"]);
    const said = saidBy(holder);
    const pid = holder.pid!;
    try {
      await waitUntil(
        "it to be a shell that waits",
        () => {
          assert.equal(holder.exitCode, null, said.text);
          return readFileSync(`/proc/${pid}/comm`, "latin1") === "sh\n" && said.text.includes("weft hold");
        },
        PATIENCE_MS,
      );
      assert.equal(rules(), wanted);
      assert.match(said.text, /^weft init: ipv4: inbound to 4143; outbound to 4140, except for user 2102 .*\nweft hold: /s);
      const uid = String(PROXY_UID);
      assert.deepEqual([status(pid, "Uid"), status(pid, "Gid"), status(pid, "Groups")], [Array(4).fill(uid), Array(4).fill(uid), []]);
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) assert.deepEqual(status(pid, set), ["0000000000000000"], set);
    } finally {
      // Killed otherwise, it would leave its sleeper, and this test its pipe.
      holder.kill("SIGTERM");
      if (holder.exitCode === null) await once(holder, "exit");
    }
    assert.equal(holder.exitCode, 0);
  });

  it("says what it lacks, before it writes anything", () => {
    assert.equal(init("--remove").code, 0);
    for (const lacking of [["--bounding-set=-setuid"], ["--bounding-set=-setgid"], ["--reuid=2102", "--regid=2102", "--clear-groups"]]) {
      const { code, stderr } = namespace.run("setpriv", ...lacking, NODE, WEFT, "init", "--hold");
      assert.equal(code, 1, stderr);
      assert.match(stderr, /^weft init: .*(SETUID and SETGID|NET_ADMIN)/);
      assert.match(stderr, /cap_add: \[NET_ADMIN, NET_RAW/);
    }
    for (const wrong of [["--dry-run"], ["--remove"], ["--proxy-uid", "0"]]) {
      const { code, stderr } = init("--hold", ...wrong);
      assert.equal(code, 1);
      assert.match(stderr, /^weft init: --hold .*\n$/);
    }
    assert.doesNotMatch(rules(), /WEFT/);
  });
});

describe("weft init, several at once", () => {
  it("writes every rule once", async () => {
    assert.equal(init().code, 0);
    const wanted = rules();
    assert.equal(init("--remove").code, 0);
    const ran = await Promise.all(Array.from({ length: AT_ONCE }, () => namespace.runAsync(NODE, WEFT, "init")));
    for (const { code, stderr } of ran) assert.equal(code, 0, stderr);
    assert.equal(rules(), wanted);
  });

  it("is kept waiting by nobody for ever", async () => {
    assert.equal(init("--remove").code, 0);
    const hoarder = namespace.start({}, [NODE, "-e", HOARDER], 1000);
    const said = saidBy(hoarder);
    await waitUntil("somebody to listen at that name", () => said.text === "mine\n", PATIENCE_MS);
    const { code, stderr } = await namespace.runAsync(NODE, WEFT, "init");
    assert.equal(code, 0, stderr);
    assert.match(rules(), /-j WEFT_OUTBOUND/);
    hoarder.kill("SIGKILL");
  });
});
