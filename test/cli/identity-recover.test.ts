// `weft identity recover` beside folders in which everything is over: what it does, what it leaves alone, and that it may be killed at any moment.
//
// The folders are as a component left them 400 days ago. What a whole mesh makes of it is in identity-recover-mesh.test.ts.
//
// Long because each case needs the same folders, tokens and component around it.

import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, it } from "node:test";
import { lockFolder } from "../../src/control/identity/data-lock.ts";
import { writeBundle } from "../../src/control/identity/data-folder.ts";
import { KeptAuthority } from "../../src/control/identity/kept-authority.ts";
import { DEFAULT_ROTATION } from "../../src/control/identity/token-maker.ts";
import { JoinTokens } from "../../src/control/identity/join-tokens.ts";
import { readJoinToken } from "../../src/core/identity/join-token.ts";
import { createRandom } from "../../src/core/util/random.ts";
import { certify, connect, DB, WEB } from "../control/support/identity-client.ts";
import { IdentityComponent } from "../control/support/identity-component.ts";
import { refusalOf } from "../control/support/refusal.ts";
import { leaveFolder, NAMES, type Result, startWeft, weft } from "./identity-support.ts";

const KILLS = 8;
/** A run takes some hundreds of milliseconds; kills fall into all of it. */
const KILL_WITHIN_MS = 900;
const SEED = 77;

interface Report {
  readonly isRunning: boolean;
  readonly steps: readonly { readonly what: string; readonly subject: string; readonly outcome: string; readonly text: string }[];
  readonly next: readonly string[];
}

const reportOf = ({ stdout }: Result): Report => JSON.parse(stdout) as Report;
const outcomes = (report: Report): string[] => report.steps.map(({ what, outcome }) => `${what} ${outcome}`);

/** Everything in a folder, with owner, mode and inode. */
function contents(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder).sort()) {
    const { ino, mode, uid } = statSync(join(folder, name));
    found[name] = `${ino} ${mode} ${uid} ${readFileSync(join(folder, name), "utf8")}`;
  }
  return found;
}

describe("weft identity recover", () => {
  let parent: string;
  let component: IdentityComponent | null;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "weft-recover-"));
    component = null;
  });
  afterEach(async () => {
    await component?.remove();
    rmSync(parent, { recursive: true, force: true });
  });

  const read = (path: string): string => readFileSync(path, "utf8").trim();

  /** A certificate by a token, from a component that has just been started with its own defaults. */
  async function joins(data: string, identity: string, token: string): Promise<string> {
    component ??= await IdentityComponent.start({ data });
    const connection = connect({ port: component.controller.port, ca: component.bundle });
    try {
      const { leaf } = await certify(connection, identity, token);
      return leaf.subjectAltName ?? "";
    } finally {
      connection.close();
    }
  }

  it("makes root, issuer, bundle and tokens anew; the dry run before it changes nothing; the run after it has nothing to do", async () => {
    const { data, tokens, root } = await leaveFolder(parent, [{ name: "web" }, { name: "db" }]);
    const args = ["identity", "recover", "--data", data, "--tokens", tokens, "-o", "json"];
    const before = [contents(data), contents(tokens)];
    const planned = await weft(...args, "--dry-run");
    assert.deepEqual([planned.code, planned.stderr], [0, ""]);
    const plan = ["component unchanged", "root planned", "issuer planned", "bundle planned", "token planned", "token planned"];
    assert.deepEqual(outcomes(reportOf(planned)), plan);
    assert.deepEqual([contents(data), contents(tokens)], before);

    const inodes = [WEB, DB].map((_, i) => statSync(join(tokens, ["shop.web.token", "shop.db.token"][i]!)).ino);
    const done = await weft(...args);
    assert.deepEqual([done.code, done.stderr], [0, ""]);
    assert.deepEqual(
      outcomes(reportOf(done)),
      plan.map((step) => step.replace("planned", "done")),
    );
    assert.match(reportOf(done).next[0]!, /start the identity component/);
    for (const [i, name] of ["shop.web.token", "shop.db.token"].entries()) {
      const { ino, mode } = statSync(join(tokens, name));
      assert.deepEqual([ino, mode & 0o777], [inodes[i], 0o600], `${name}: another file, or for others`);
      const token = readJoinToken(read(join(tokens, name)));
      assert.ok("roots" in token && token.use === "file" && !token.roots.includes(root));
    }
    const after = [contents(data), contents(tokens)];
    const again = await weft(...args);
    assert.equal(again.code, 0);
    assert.ok(reportOf(again).steps.every(({ outcome }) => outcome === "unchanged"));
    assert.deepEqual([contents(data), contents(tokens)], after);

    assert.match(await joins(data, WEB, read(join(tokens, "shop.web.token"))), /^DNS:web\.shop/);
    assert.match(await joins(data, DB, read(join(tokens, "shop.db.token"))), /^DNS:db\.shop/);
    const text = [planned, done, again].map(({ stdout }) => stdout).join("");
    for (const name of ["shop.web.token", "shop.db.token"]) {
      for (const part of read(join(tokens, name)).split(".")) assert.ok(!text.includes(part), "a token is shown");
    }
  });

  it("is text for people: what was done, why, and what is left to do", async () => {
    const { data, tokens } = await leaveFolder(parent, [{ name: "web" }]);
    const { code, stdout } = await weft("identity", "recover", "--data", data, "--tokens", tokens);
    assert.equal(code, 0);
    assert.match(stdout, /^Done in .*, by this host's clock 20/);
    assert.match(stdout, /\n {2}unchanged {2}component {2}.*: does not run, and cannot be started until this is done\n/);
    assert.match(
      stdout,
      /\n {2}done {7}root {7}weft root [0-9a-f]{8}: made, because the one before \([0-9a-f]{8}\) ended at 20.*; SHA-256 [0-9a-f]{64}\n/,
    );
    assert.match(
      stdout,
      /\n {2}done {7}token {6}.*shop\.web\.token: web\.shop\.serviceaccount.*: a new token, good for 86400 s, because the one before ended at/,
    );
    assert.match(stdout, /\n- proxies whose spec\.identity\.token is one of these files join again by themselves/);
  });

  it("a root that is still good stays, and only what is over is made anew", async () => {
    // The issuer lives for 30 days, the root for 365, the tokens for one.
    const { data, tokens, root } = await leaveFolder(parent, [{ name: "web" }], 40);
    const { code, stdout } = await weft("identity", "recover", "--data", data, "--tokens", tokens, "-o", "json");
    assert.equal(code, 0);
    const report = JSON.parse(stdout) as Report;
    assert.deepEqual(outcomes(report), ["component unchanged", "root unchanged", "issuer done", "bundle unchanged", "token done"]);
    const token = readJoinToken(read(join(tokens, "shop.web.token")));
    assert.ok("roots" in token && token.roots.includes(root));
    assert.match(await joins(data, WEB, read(join(tokens, "shop.web.token"))), /^DNS:web/);
  });

  for (const { what, daysAgo, said } of [
    { what: "is over as well: a new one is made", daysAgo: 800, said: /root [0-9a-f]{8}: made, because the one before/ },
    { what: "is good: it signs from now on", daysAgo: 400, said: /was distributed already, and signs from now on, because the one before/ },
  ]) {
    it(`a root that was being distributed when the component stopped ${what}`, async () => {
      const { data, tokens, root } = await leaveFolder(parent, [{ name: "web" }], daysAgo);
      const nowMs = (): number => Date.now() - (daysAgo - 300) * 86_400_000;
      const authority = await KeptAuthority.open({ folder: data, rotation: DEFAULT_ROTATION, log: () => {}, nowMs });
      assert.equal(authority.bundle.roots.length, 2);
      writeBundle(data, authority.bundle);
      const args = ["identity", "recover", "--data", data, "--tokens", tokens];
      const planned = await weft(...args, "--dry-run");
      assert.deepEqual([planned.code, planned.stderr], [0, ""]);
      assert.match(
        planned.stdout,
        daysAgo === 400 ? /planned {4}root .*which is distributed already, signs/ : /planned {4}root .*a new one, which signs at once/,
      );
      const { code, stdout, stderr } = await weft(...args);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, said);
      const token = readJoinToken(read(join(tokens, "shop.web.token")));
      assert.ok("roots" in token && token.roots.length === 1 && !token.roots.includes(root));
      assert.match(await joins(data, WEB, read(join(tokens, "shop.web.token"))), /^DNS:web/);
    });
  }

  it("a token that lacks a root that is being distributed is said to lack it; a dry run says of the component only what is true of it", async () => {
    const { data, tokens, root } = await leaveFolder(parent, [{ name: "web" }], 0);
    const authority = await KeptAuthority.open({ folder: data, rotation: DEFAULT_ROTATION, log: () => {} });
    await authority.rotate("root");
    writeBundle(data, authority.bundle);
    const { code, stdout } = await weft("identity", "recover", "--data", data, "--tokens", tokens, "--dry-run", "-o", "json");
    assert.equal(code, 0);
    const { steps } = JSON.parse(stdout) as Report;
    assert.equal(steps[0]!.text, "does not run");
    assert.match(steps.at(-1)!.text, /: a new token, because the one before pins 1 of the 2 roots that are trusted now$/);
    const token = readJoinToken(read(join(tokens, "shop.web.token")));
    assert.ok("roots" in token && token.roots.length === 1 && token.roots[0] === root, "a dry run");
  });

  it("beside a component that runs it leaves root and issuer to it, and makes the tokens", async () => {
    const { data, tokens, root } = await leaveFolder(parent, [{ name: "web" }]);
    component = await IdentityComponent.start({ data });
    assert.equal(await refusalOf(joins(data, WEB, read(join(tokens, "shop.web.token")))), "WEFT_IDENTITY_TOKEN_EXPIRED");
    const { code, stdout } = await weft("identity", "recover", "--data", data, "--tokens", tokens, "-o", "json");
    assert.equal(code, 0);
    const report = JSON.parse(stdout) as Report;
    assert.ok(report.isRunning);
    assert.deepEqual(outcomes(report), ["component unchanged", "root unchanged", "token done"]);
    const token = readJoinToken(read(join(tokens, "shop.web.token")));
    assert.ok("roots" in token && !token.roots.includes(root));
    assert.match(await joins(data, WEB, read(join(tokens, "shop.web.token"))), /^DNS:web/);
  });

  it("only what the folder's own key has signed is renewed without being named: nobody gets another identity by asking for it in a file", async () => {
    const { data, tokens } = await leaveFolder(parent, [{ name: "web" }, { name: "db" }]);
    const stranger = await JoinTokens.open(parent, NAMES.trustDomain);
    const identity = { account: "web", namespace: "shop", ...NAMES };
    const forged = await stranger.create({ identity, use: "file", ttlS: 3600, roots: ["0".repeat(64)] });
    writeFileSync(join(tokens, "shop.db.token"), forged);
    symlinkSync(join(tokens, "shop.web.token"), join(tokens, "link.token"));
    writeFileSync(join(tokens, "notes.txt"), "remember the milk\n");
    const { code, stdout } = await weft("identity", "recover", "--data", data, "--tokens", tokens, "-o", "json");
    assert.equal(code, 0);
    const ofTokens = (JSON.parse(stdout) as Report).steps.filter(({ what }) => what === "token");
    assert.deepEqual(
      ofTokens.map(({ subject, outcome }) => [subject, outcome]),
      [
        [join(tokens, "shop.db.token"), "unchanged"],
        [join(tokens, "shop.web.token"), "done"],
      ],
    );
    assert.match(ofTokens[0]!.text, /has not signed: .*--workload/);
    assert.equal(readFileSync(join(tokens, "shop.db.token"), "utf8"), forged);
    assert.equal(read(join(tokens, "notes.txt")), "remember the milk");
  });

  it("a workload that is named gets a token, also where the file holds a stranger's or nothing is there; other content stays", async () => {
    const { data, tokens } = await leaveFolder(parent, []);
    const stranger = await JoinTokens.open(parent, NAMES.trustDomain);
    const identity = { account: "web", namespace: "shop", ...NAMES };
    writeFileSync(join(tokens, "shop.db.token"), await stranger.create({ identity, use: "file", ttlS: 3600, roots: ["0".repeat(64)] }));
    writeFileSync(join(tokens, "shop.other.token"), "no token\n");
    const named = ["web", "db", "other"].flatMap((name) => ["--workload", `shop/${name}`]);
    const { code, stdout, stderr } = await weft(
      "identity",
      "recover",
      "--data",
      data,
      "--tokens",
      tokens,
      ...named,
      "--ttl",
      "2h",
      "-o",
      "json",
    );
    assert.equal(code, 1);
    assert.match(stderr, /1 of \d steps failed; what is done stays done: run it again/);
    const ofTokens = (JSON.parse(stdout) as Report).steps.filter(({ what }) => what === "token");
    assert.deepEqual(
      ofTokens.map(({ subject, outcome }) => [subject, outcome]),
      [
        [join(tokens, "shop.web.token"), "done"],
        [join(tokens, "shop.db.token"), "done"],
        [join(tokens, "shop.other.token"), "failed"],
      ],
    );
    assert.equal(read(join(tokens, "shop.other.token")), "no token");
    assert.match(await joins(data, WEB, read(join(tokens, "shop.web.token"))), /^DNS:web/);
    assert.match(await joins(data, DB, read(join(tokens, "shop.db.token"))), /^DNS:db/);
    const token = readJoinToken(read(join(tokens, "shop.web.token")));
    assert.ok("expiresAtS" in token && Math.abs(token.expiresAtS - Date.now() / 1000 - 7200) < 120);
  });

  it("the tokens' key is lost: none is known any more, and named workloads get new ones by a new key; not beside a component that has the old one", async () => {
    const { data, tokens } = await leaveFolder(parent, [{ name: "web" }], 40);
    rmSync(join(data, "token-key.json"));
    const args = ["identity", "recover", "--data", data, "--tokens", tokens, "--workload", "shop/web"];
    const unlock = (await lockFolder(data))!;
    const beside = await weft(...args);
    assert.equal(beside.code, 1);
    assert.match(beside.stderr, /token-key\.json is gone, and the component that runs has it in memory only: stop it/);
    await unlock();
    const planned = await weft(...args, "--dry-run");
    assert.equal(planned.code, 0);
    assert.match(planned.stdout, /\n {2}planned {4}token {6}.*token-key\.json: is not there: a new key for tokens/);
    assert.ok(!existsSync(join(data, "token-key.json")));
    assert.equal((await weft(...args)).code, 0);
    assert.match(await joins(data, WEB, read(join(tokens, "shop.web.token"))), /^DNS:web/);
  });

  it("a token that is made into the file of another one is in that file: it may be mounted; one that others can read is replaced", async () => {
    const { data, tokens } = await leaveFolder(parent, [{ name: "web" }], 0);
    const path = join(tokens, "shop.web.token");
    const create = ["identity", "token", "create", "--name", "web", "--namespace", "shop", "--data", data, "--file", path];
    const [inode, before] = [statSync(path).ino, read(path)];
    assert.equal((await weft(...create)).code, 0);
    assert.equal(statSync(path).ino, inode);
    assert.notEqual(read(path), before);
    chmodSync(path, 0o644);
    assert.equal((await weft(...create)).code, 0);
    assert.notEqual(statSync(path).ino, inode);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(tokens), ["shop.web.token"]);
    assert.match(await joins(data, WEB, read(path)), /^DNS:web/);
  });

  it("a printed token in a file stays one for one certificate", async () => {
    const { data, tokens } = await leaveFolder(parent, [{ name: "web", use: "once" }]);
    assert.equal((await weft("identity", "recover", "--data", data, "--tokens", tokens)).code, 0);
    const token = read(join(tokens, "shop.web.token"));
    await joins(data, WEB, token);
    assert.equal(await refusalOf(joins(data, WEB, token)), "WEFT_IDENTITY_TOKEN_USED");
  });

  it("killed again and again: the next run finishes it, and no token file is ever without a token that is known", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `app-${i}`);
    const { data, tokens } = await leaveFolder(
      parent,
      names.map((name) => ({ name })),
    );
    const random = createRandom(SEED);
    const args = ["identity", "recover", "--data", data, "--tokens", tokens, "-o", "json"];
    for (let kill = 0; kill < KILLS; kill++) {
      const running = startWeft(args);
      await setTimeout(random() * KILL_WITHIN_MS);
      running.process.kill("SIGKILL");
      await running.result;
    }
    // The copy itself is too short to be hit: what it leaves half done, made by hand.
    const [half, mixed] = ["shop.app-3.token", "shop.app-4.token"].map((name) => join(tokens, name));
    const { code: finished } = await weft(...args);
    assert.equal(finished, 0);
    const whole = [half, mixed].map((path) => readFileSync(path!, "utf8"));
    writeFileSync(`${half}.new`, whole[0]!, { mode: 0o600 });
    writeFileSync(half!, whole[0]!.slice(0, 40));
    writeFileSync(`${mixed}.new`, whole[1]!, { mode: 0o600 });
    writeFileSync(mixed!, `${whole[1]!.slice(0, -20)}${"A".repeat(19)}\n`);
    const last = await weft(...args);
    assert.deepEqual([last.code, last.stderr], [0, ""]);
    assert.deepEqual(
      [half, mixed].map((path) => readFileSync(path!, "utf8")),
      whole,
    );
    assert.deepEqual(readdirSync(tokens).sort(), names.map((name) => `shop.${name}.token`).sort());
    for (const name of names) {
      const identity = `${name}.shop.serviceaccount.identity.weft.cluster.local`;
      assert.match(await joins(data, identity, read(join(tokens, `shop.${name}.token`))), new RegExp(`^DNS:${name}`));
    }
  });

  it("what root writes belongs to the folder's owner, so that the component can still read it", async () => {
    const { data, tokens } = await leaveFolder(parent, [{ name: "web" }]);
    const owner = process.geteuid?.() === 0 ? 2102 : process.geteuid!();
    for (const folder of [data, tokens]) {
      chownSync(folder, owner, statSync(folder).gid);
      for (const name of readdirSync(folder)) chownSync(join(folder, name), owner, statSync(folder).gid);
    }
    chmodSync(join(tokens, "shop.web.token"), 0o640);
    // `weft inject` leaves the folder with root, and its files with the proxies' user.
    chownSync(tokens, process.geteuid!(), statSync(tokens).gid);
    const args = ["--data", data, "--tokens", tokens, "--workload", "shop/db"];
    assert.equal((await weft("identity", "recover", ...args)).code, 0);
    for (const folder of [data, tokens]) {
      for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).uid, owner, name);
    }
    assert.equal(statSync(join(tokens, "shop.web.token")).mode & 0o777, 0o640);
    // For the group, as its neighbour.
    assert.equal(statSync(join(tokens, "shop.db.token")).mode & 0o777, 0o640);
  });

  it("an authority from outside is for its owner to renew; tokens pin the roots that are named", async () => {
    const { data, tokens } = await leaveFolder(parent, [{ name: "web" }]);
    const fresh = await leaveFolder(join(parent, "outside"), [], 0);
    for (const name of readdirSync(data)) if (/^(?:root|issuer)-|^state/.test(name)) rmSync(join(data, name));
    writeFileSync(join(data, "given.json"), '{"version":1,"atMs":1,"digest":""}\n', { mode: 0o600 });
    const stuck = await weft("identity", "recover", "--data", data, "--tokens", tokens);
    assert.equal(stuck.code, 1);
    assert.match(
      stuck.stderr,
      /come from outside, and .*bundle\.pem has no root that is valid now: put new ones into their files first, and name the roots with --roots/,
    );
    const roots = join(fresh.data, "bundle.pem");
    const { code, stdout } = await weft("identity", "recover", "--data", data, "--tokens", tokens, "--roots", roots, "-o", "json");
    assert.equal(code, 0);
    assert.deepEqual(outcomes(JSON.parse(stdout) as Report), ["component unchanged", "root unchanged", "issuer unchanged", "token done"]);
    const token = readJoinToken(read(join(tokens, "shop.web.token")));
    assert.ok("roots" in token);
    assert.deepEqual(token.roots, [fresh.root]);
  });

  it("says what it cannot do, and changes nothing then", async () => {
    const { data, tokens } = await leaveFolder(parent, [{ name: "web" }]);
    const early = await leaveFolder(join(parent, "early"), [], -3);
    const damaged = await leaveFolder(join(parent, "damaged"), []);
    writeFileSync(join(damaged.data, "state.json"), "{", { mode: 0o600 });
    const keyless = await leaveFolder(join(parent, "keyless"), []);
    for (const name of readdirSync(keyless.data))
      if (/^root-.*key$/.test(name)) renameSync(join(keyless.data, name), join(parent, "lost.key"));
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["--data", parent], /is no data folder of an identity component: it has no mesh\.json/],
      [["--data", join(parent, "nowhere")], /is no data folder of an identity component/],
      [["--data", early.data], /by this host's clock it is 20.*, and the root is valid from 20.* on: the clock is wrong/],
      [["--data", damaged.data], /state\.json is damaged: restore it, or move the folder away/],
      [["--data", keyless.data], /which state\.json names, cannot be read/],
      [["--data", data, "--workload", "shop/web"], /--workload needs --tokens FOLDER/],
      [["--data", data, "--tokens", tokens, "--workload", "web"], /--workload: "web" is none; expected NAMESPACE\/NAME/],
      [["--data", data, "--tokens", tokens, "--workload", "shop/Web"], /"Web" is no name: 1 to 63 lower-case/],
      [["--data", data, "--tokens", tokens, "--workload", "weft/identity"], /nobody but the identity component is called that/],
      [["--data", data, "--ttl", "1500ms"], /--ttl: "1500ms" is no duration in whole seconds/],
      [["--data", data, "--root-lifetime", "1d", "--issuer-lifetime", "2d"], /no issuer outlives its root/],
    ];
    const unlock = (await lockFolder(data))!;
    const stuck = await weft("identity", "recover", "--data", data, "--tokens", tokens);
    assert.equal(stuck.code, 1);
    assert.match(stuck.stderr, /runs, and has no root that is valid now; its log says why .*: stop it, and run this again/);
    await unlock();
    const before = [contents(data), contents(tokens)];
    for (const [args, expected] of cases) {
      const { code, stderr } = await weft("identity", "recover", ...args);
      assert.equal(code, 1, args.join(" "));
      assert.match(stderr, expected);
    }
    assert.deepEqual([contents(data), contents(tokens)], before);
    assert.ok(!existsSync(join(parent, "nowhere")));
    // Its root is done by then: the folder of the tokens is the last step.
    const lost = await weft("identity", "recover", "--data", data, "--tokens", join(parent, "nowhere"));
    assert.equal(lost.code, 1);
    assert.match(lost.stderr, /nowhere cannot be listed \(ENOENT\): name the folder that has the token files/);
  });
});
