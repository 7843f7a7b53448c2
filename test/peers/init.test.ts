// `weft init` as a command: what it says and does where iptables is missing, refuses, or exists twice. Programs that only pretend to
// be iptables write down what they are asked to do; what the real ones do with it is tested in transparent.test.ts.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let folder = "";

/** A program that answers `--version`, otherwise appends its name and input to `calls`, says something and ends with a code. */
function pretend(name: string, code: number, says: string): void {
  const path = join(folder, name);
  const stream = code === 0 ? 1 : 2;
  const record = name.endsWith("-restore") ? `{ echo "${name} $*"; cat; } >>${join(folder, "calls")}` : "";
  writeFileSync(path, `#!/bin/sh\n[ "$1" = --version ] && exit 0\n${record}\nprintf '%b' '${says}' >&${stream}\nexit ${code}\n`);
  chmodSync(path, 0o755);
}

/** `iptables-save` says one thing until something was written, and another then. */
function pretendSave(first: string, later: string): void {
  const path = join(folder, "iptables-save");
  const script = `[ "$1" = --version ] && exit 0\n[ -s ${join(folder, "calls")} ] && printf '%b' '${later}' || printf '%b' '${first}'\n`;
  writeFileSync(path, `#!/bin/sh\n${script}`);
  chmodSync(path, 0o755);
}

function init(...options: string[]): { code: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, NODE_OPTIONS: "", PATH: `${folder}:/bin` };
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, "init", ...options], { encoding: "utf8", env });
  return { code: status, stdout, stderr };
}

function calls(): string {
  return readFileSync(join(folder, "calls"), "utf8");
}

before(() => {
  const bin = ["iptables", "ip6tables"].map((name) => spawnSync("sh", ["-c", `PATH=/bin command -v ${name}-save`]).status);
  // Debian's merged /usr has it in sbin, which is not looked into here.
  assert.ok(
    bin.every((status) => status !== 0),
    "iptables is in /bin: this test cannot pretend that it is missing",
  );
});

beforeEach(() => {
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = mkdtempSync(join(tmpdir(), "weft-init-"));
  writeFileSync(join(folder, "calls"), "");
});

after(() => rmSync(folder, { recursive: true, force: true }));

describe("weft init", () => {
  it("says what is missing", () => {
    const { code, stderr } = init();
    assert.equal(code, 1);
    assert.equal(stderr, "weft init: iptables-save is not installed\n  install the package iptables, or run this in Weft's image\n");
  });

  it("says that a kernel module is missing, in the kernel's words and its own", () => {
    pretend(
      "iptables-save",
      3,
      "iptables v1.8: can\\047t initialize iptables table `nat\\047: Table does not exist (do you need to insmod?)\\n",
    );
    const { code, stderr } = init();
    assert.equal(code, 1);
    assert.match(stderr, /Table does not exist/);
    assert.match(stderr, /the kernel lacks a module: nf_nat/);
  });

  it("says which privilege is missing", () => {
    pretend("iptables-save", 0, "");
    pretend("iptables-restore", 4, "iptables-restore v1.8: Permission denied (you must be root)\\n");
    const { code, stderr } = init("--ip-family", "ipv4");
    assert.equal(code, 1);
    assert.match(stderr, /CAP_NET_ADMIN/);
  });

  it("says every mistake in its options, and does nothing", () => {
    pretend("iptables-save", 0, "");
    pretend("iptables-restore", 0, "");
    const { code, stderr } = init(
      ...["--proxy-uid", "weft", "--incoming-proxy-port", "0", "--outgoing-proxy-port", "1-2"],
      ...["--inbound-ports-to-ignore", "x", "--outbound-ports-to-ignore", "70000", "--subnets-to-ignore", "10.0.0.0/40"],
    );
    assert.equal(code, 1);
    assert.equal(stderr.trim().split("\n").length, 6, stderr);
    assert.equal(calls(), "");
    assert.equal(init("--ip-family", "ipv5").code, 1);
    assert.equal(init("--nonsense").code, 1);
  });

  it("takes the first family back when the second fails and IPv6 was asked for", () => {
    pretendSave("", "*nat\\n:WEFT_INBOUND - [0:0]\\n-A PREROUTING -p tcp -j WEFT_INBOUND\\nCOMMIT\\n");
    pretend("iptables-restore", 0, "");
    pretend("ip6tables-save", 0, "");
    pretend("ip6tables-restore", 1, "ip6tables-restore: line 12 failed\\n");
    const { code, stderr } = init("--ip-family", "both");
    assert.equal(code, 1);
    assert.match(stderr, /ip6tables-restore .*line 12 failed/);
    const scripts = calls();
    assert.match(scripts, /^iptables-restore --noflush --wait 10\n\*nat\n:WEFT_INBOUND/);
    assert.match(scripts, /-D PREROUTING -p tcp -j WEFT_INBOUND\n-F WEFT_INBOUND\n-X WEFT_INBOUND\nCOMMIT\n$/);
  });

  it("brings back the rules of before when an update fails: traffic must not go past the proxy", () => {
    const jump = "-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j WEFT_INBOUND";
    const old = [":WEFT_INBOUND - [0:0]", jump, "-A OUTPUT -j DOCKER", "-A WEFT_INBOUND -p tcp -j REDIRECT --to-ports 4143"];
    pretendSave(`*nat\\n${old.join("\\n")}\\nCOMMIT\\n`, `*nat\\n:WEFT_INBOUND - [0:0]\\n${jump}\\nCOMMIT\\n`);
    pretend("iptables-restore", 0, "");
    pretend("ip6tables-save", 0, "");
    pretend("ip6tables-restore", 1, "ip6tables-restore: line 12 failed\\n");
    assert.equal(init("--ip-family", "both", "--incoming-proxy-port", "off").code, 1);
    const last = calls().split("iptables-restore --noflush --wait 10\n").at(-1)!;
    const chains = "*nat\n:WEFT_INBOUND - [0:0]\n:WEFT_OUTBOUND - [0:0]\n";
    assert.equal(last, `${chains}${jump.replace("-A", "-D")}\n${jump}\n${old[3]}\nCOMMIT\n`);
  });

  it("uses the kind of iptables that has its rules, else the one that has others' rules, else the newer", () => {
    const ours = ":WEFT_INBOUND - [0:0]\\n";
    const others = "-A OUTPUT -j DOCKER_OUTPUT\\n";
    for (const [nft, chosen] of [
      [ours, "iptables-nft-restore"],
      [others, "iptables-nft-restore"],
      ["", "iptables-nft-restore"],
    ] as const) {
      writeFileSync(join(folder, "calls"), "");
      pretend("iptables-nft-save", 0, nft);
      pretend("iptables-nft-restore", 0, "");
      pretend("iptables-legacy-save", 0, "");
      pretend("iptables-legacy-restore", 0, "");
      assert.equal(init("--ip-family", "ipv4").code, 0);
      assert.equal(calls().split(" ")[0], chosen);
    }
    writeFileSync(join(folder, "calls"), "");
    pretend("iptables-nft-save", 1, "Could not fetch rule set generation id\\n");
    assert.equal(init("--ip-family", "ipv4").code, 0);
    assert.equal(calls().split(" ")[0], "iptables-legacy-restore");
  });

  it("shows without privileges or iptables what it would write", () => {
    const { code, stdout } = init("--dry-run");
    assert.equal(code, 0);
    assert.match(stdout, /^# iptables-restore --noflush --wait 10\n\*nat\n/);
    assert.match(stdout, /\n# ip6tables-restore --noflush --wait 10\n\*nat\n/);
    assert.equal(calls(), "");
  });
});
