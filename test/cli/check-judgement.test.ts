// What the checks make of what they are told: containers, clocks, versions, certificates; and how a run goes on, waits, and ends.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CheckId, CHECKS, rowOf } from "../../src/cli/check/catalogue.ts";
import { identityChecks, identityDataPlaneChecks } from "../../src/cli/check/identity-checks.ts";
import { clockChecks, dataPlaneChecks, existenceChecks, versionChecks } from "../../src/cli/check/mesh-checks.ts";
import { isSuccess, render } from "../../src/cli/check/print-results.ts";
import {
  type AuthorityFacts,
  type ContainerState,
  type Mesh,
  parseReport,
  type ProxyReport,
  silentComponent,
  silentProxy,
} from "../../src/cli/check/reports.ts";
import { type Check, type CheckResult, failureOf, PASSED, runChecks } from "../../src/cli/check/run-checks.ts";
import { makeIssuer, makeRoot, type Signer } from "../../src/control/identity/x509.ts";
import { fingerprintOf } from "../../src/control/identity/x509.ts";
import { Authority } from "../support/certificates.ts";

const DAY_MS = 86_400_000;
const NOTHING: Mesh = { soughtIn: "a test", proxiesSought: "in a test", leftOut: [], proxies: [], component: null, containers: null };
const AT_ONCE = { waitMs: 0, refresh: async () => undefined, onWaiting: () => undefined };

const ALL = (mesh: () => Mesh): Check[] => [
  ...existenceChecks(mesh),
  ...identityChecks(mesh),
  ...identityDataPlaneChecks(mesh),
  ...clockChecks(mesh),
  ...dataPlaneChecks(mesh),
  ...versionChecks(mesh, null),
];

async function judge(mesh: Partial<Mesh>): Promise<readonly CheckResult[]> {
  return await runChecks(
    ALL(() => ({ ...NOTHING, ...mesh })),
    AT_ONCE,
  );
}

function outcome(results: readonly CheckResult[], id: CheckId): readonly [string, ...string[]] {
  const found = results.find((result) => result.id === id);
  return found === undefined ? ["absent"] : [found.result, ...found.problem];
}

const proxy = (name: string, report: Partial<ProxyReport> = {}): Mesh["proxies"][number] => ({
  name,
  report: { ...silentProxy(""), problem: null, isReady: true, ...report },
});
const container = (name: string, state: Partial<ContainerState> = {}): ContainerState => ({
  name,
  part: "net",
  service: "",
  status: "running",
  exitCode: 0,
  restarts: 0,
  ...state,
});

describe("a run", () => {
  const failing = (id: CheckId): Check => ({ id, look: () => failureOf(["wrong"]) });

  it("ends after a fatal failure, and not after another", async () => {
    const fatal = await runChecks([failing("weft-existence-found"), failing("weft-existence-proxies")], AT_ONCE);
    assert.deepEqual(
      fatal.map(({ id }) => id),
      ["weft-existence-found"],
    );
    const both = await runChecks([failing("weft-existence-proxies"), failing("weft-clock-skew")], AT_ONCE);
    assert.equal(both.length, 2);
  });

  it("looks again at what may come up, each time at something fresh, and never at a warning", async () => {
    let looks = 0;
    let refreshed = 0;
    const waited: (string | null)[] = [];
    const coming: Check = { id: "weft-data-plane-ready", look: () => (++looks < 2 ? failureOf(["not yet"]) : PASSED) };
    const results = await runChecks([coming, { id: "weft-data-plane-config", look: () => failureOf(["refused"]) }], {
      waitMs: 60_000,
      refresh: async () => {
        refreshed++;
      },
      onWaiting: (line) => waited.push(line),
    });
    assert.deepEqual([looks, refreshed], [2, 1]);
    assert.deepEqual(
      results.map(({ result }) => result),
      ["success", "warning"],
    );
    assert.deepEqual(waited, [`${rowOf("weft-data-plane-ready").title}: not yet`, null]);
  });

  it("names ten things at most", () => {
    const found = failureOf(Array.from({ length: 12 }, (_, index) => `thing ${index}`));
    assert.ok(found !== null && "problem" in found);
    assert.deepEqual([found.problem.length, found.problem[10]], [11, "and 2 more"]);
  });

  it("is printed with marks in colour where somebody looks", () => {
    const results: CheckResult[] = [
      { id: "weft-clock-skew", category: "weft-clock", title: "the clocks agree", result: "error", note: null, problem: ["no"] },
    ];
    assert.ok(render(results, "table", true).includes("\u001b[31m×\u001b[0m the clocks agree\n    no\n"));
    assert.equal(isSuccess(results), false);
  });
});

describe("containers", () => {
  it("that are up, with an init that ended well", async () => {
    const results = await judge({
      containers: [
        container("web-net"),
        container("web-proxy", { part: "proxy" }),
        container("web-init", { part: "init", status: "exited" }),
      ],
    });
    assert.deepEqual(outcome(results, "weft-existence-containers"), ["success"]);
    assert.deepEqual(outcome(results, "weft-existence-init"), ["success"]);
  });

  it("that are down, restarted, or not done", async () => {
    const results = await judge({
      containers: [
        container("web-net", { status: "exited", exitCode: 137 }),
        container("web-proxy", { part: "proxy", status: "restarting", restarts: 7, exitCode: 64 }),
        container("api-proxy", { part: "proxy", restarts: 3 }),
        container("web-init", { part: "init", status: "exited", exitCode: 1 }),
        container("api-init", { part: "init" }),
      ],
    });
    assert.deepEqual(outcome(results, "weft-existence-containers"), [
      "error",
      "web-net does not run: exited with 137",
      "web-proxy is restarted again and again (7 times; it ended with 64)",
    ]);
    assert.deepEqual(outcome(results, "weft-existence-init"), ["error", "web-init ended with 1", "api-init has not ended: running"]);
  });

  it("that are gone from beside an application", async () => {
    const found = [
      container("web-net", { service: "web" }),
      container("api-net", { service: "api" }),
      container("api-proxy", { part: "proxy", service: "api" }),
    ];
    assert.deepEqual(outcome(await judge({ containers: found }), "weft-existence-containers"), [
      "error",
      "web has no container for its proxy",
    ]);
  });

  it("of which only an init is left: that is no mesh", async () => {
    const results = await judge({
      containers: [container("web-init", { part: "init", status: "exited" })],
      leftOut: ["--admin 127.0.0.1:4191"],
    });
    assert.deepEqual(
      results.map(({ id, result, problem }) => [id, result, ...problem]),
      [
        [
          "weft-existence-found",
          "error",
          "there is neither a proxy nor an identity component in a test",
          "something answers on this host: look at it with --admin 127.0.0.1:4191",
        ],
      ],
    );
  });

  it("of which there are none: nothing else is looked at", async () => {
    const results = await judge({ containers: [], soughtIn: 'the compose project "shop"' });
    assert.deepEqual(
      results.map(({ id, result, problem }) => [id, result, ...problem]),
      [["weft-existence-found", "error", 'there is neither a proxy nor an identity component in the compose project "shop"']],
    );
  });
});

describe("commands that remedies name", () => {
  const remedies = (Object.keys(CHECKS) as CheckId[]).map((id) => rowOf(id).remedy);

  it("say whose folder: without it they are refused", () => {
    const commands = remedies.flatMap((text) => [...text.matchAll(/`(weft identity[ -][^`]+)`/g)].map(([, command]) => command!));
    assert.ok(commands.length >= 5, commands.join());
    for (const command of commands) assert.match(command, / --data FOLDER/);
  });
});

describe("clocks", () => {
  const clocks = async (aheadMs: number, uncertainMs = 0): Promise<readonly string[]> =>
    outcome(await judge({ proxies: [proxy("web", { clock: { aheadMs, uncertainMs } })] }), "weft-clock-skew");

  it("that agree, that are a little off, and that certificates do not allow for", async () => {
    assert.deepEqual(await clocks(4_000), ["success"]);
    assert.deepEqual(await clocks(-6_000), ["warning", "the clock of web is 6 s behind this one"]);
    assert.deepEqual(await clocks(21_000), ["error", "the clock of web is 21 s ahead of this one"]);
  });

  it("are off only by as much as is sure", async () => {
    assert.deepEqual(await clocks(6_000, 2_000), ["success"]);
    assert.equal((await clocks(26_000, 7_000))[0], "warning");
  });
});

it("another version is a warning that names both", async () => {
  const results = await judge({ proxies: [proxy("web", { version: "9.9.9" })] });
  assert.match(outcome(results, "weft-version-proxies").join(), /^warning,web is 9\.9\.9, and not \d/);
  const expected = await runChecks(
    versionChecks(() => NOTHING, "9.9.9"),
    AT_ONCE,
  );
  assert.match(outcome(expected, "weft-version-expected").join(), /^warning,this command is \d.*, and not 9\.9\.9$/);
});

describe("trust anchors and issuers", () => {
  const now = Date.now();
  const life = (agoDays: number, leftDays: number) => ({ notBeforeMs: now - agoDays * DAY_MS, notAfterMs: now + leftDays * DAY_MS });
  const mesh = (facts: Partial<AuthorityFacts>, proxies: Mesh["proxies"] = []): Partial<Mesh> => ({
    component: {
      name: "identity",
      report: { ...silentComponent(""), authority: { rotatesItself: true, anchors: [], issuer: "", ...facts } },
    },
    proxies,
  });
  const pem = (signer: Signer): string => signer.certificate.toString();
  const anchor = (signer: Signer, phase = "active"): AuthorityFacts["anchors"][number] => ({ certificate: pem(signer), phase });

  it("that replace themselves need not last 60 days, those of others do", async () => {
    const root = await makeRoot("r", life(0, 3650));
    const issuer = pem(await makeIssuer(root, "i", life(40, 50)));
    const kept = await judge(mesh({ anchors: [anchor(root)], issuer }));
    assert.deepEqual(outcome(kept, "weft-identity-issuer-60-days"), ["success"]);
    const given = await judge(mesh({ rotatesItself: false, anchors: [anchor(root)], issuer }));
    assert.equal(outcome(given, "weft-identity-issuer-60-days")[0], "warning");
    const late = await judge(mesh({ anchors: [anchor(root)], issuer: pem(await makeIssuer(root, "i", life(26, 4))) }));
    assert.match(outcome(late, "weft-identity-issuer-60-days").join(), /^warning,"weft issuer i" .*its successor is late/);
  });

  it("of which a retired one may end", async () => {
    const root = await makeRoot("r", life(0, 3650));
    const old = await makeRoot("old", life(360, 2));
    const results = await judge(mesh({ anchors: [anchor(old, "retired"), anchor(root)] }));
    assert.deepEqual(outcome(results, "weft-identity-anchors-60-days"), ["success"]);
    const active = await judge(mesh({ anchors: [anchor(old)] }));
    assert.equal(outcome(active, "weft-identity-anchors-60-days")[0], "warning");
  });

  it("that are there twice, that have one name, that are none", async () => {
    const root = await makeRoot("r", life(0, 3650));
    const namesake = await makeRoot("r", life(0, 3650));
    const twice = await judge(mesh({ anchors: [anchor(root), anchor(root)] }));
    assert.match(outcome(twice, "weft-identity-anchors-unique").join(), /^warning,.* is there twice$/);
    const named = await judge(mesh({ anchors: [anchor(root), anchor(namesake)] }));
    assert.match(outcome(named, "weft-identity-anchors-unique").join(), /^warning,.* have one name$/);
    const none = await judge(mesh({ anchors: [{ certificate: "none", phase: "active" }] }));
    assert.equal(outcome(none, "weft-identity-anchors-crypto")[0], "error");
  });

  it("with weak keys", async () => {
    const authority = new Authority("strong");
    const weak = authority.issue({ names: ["weak"], keyKind: "rsa1024" }).cert;
    const results = await judge(mesh({ anchors: [{ certificate: authority.cert, phase: "active" }], issuer: weak }));
    assert.deepEqual(outcome(results, "weft-identity-anchors-crypto"), ["success"]);
    assert.match(outcome(results, "weft-identity-issuer-crypto").join(), /^error,"weak" .* has an RSA key of 1024 bits only$/);
  });

  it("that do not belong together", async () => {
    const root = await makeRoot("r", life(0, 3650));
    const other = await makeRoot("other", life(0, 3650));
    const issuer = pem(await makeIssuer(other, "i", life(0, 30)));
    const results = await judge(mesh({ anchors: [anchor(root)], issuer }));
    assert.match(outcome(results, "weft-identity-issuer-signed").join(), /^error,"weft issuer i" .* leads to none of the trust anchors$/);
  });

  describe("beside proxies", () => {
    const certified = (name: string, issuer: string, anchors: readonly string[], times = { fromMs: now, toMs: now + DAY_MS }) =>
      proxy(name, {
        identity: {
          name,
          state: "valid",
          isCertified: true,
          certificate: { issuer, ...times },
          anchors,
          failedAttempts: 0,
          lastFailure: null,
        },
      });

    it("one that lacks the root that signs is an error, one that lacks the next a warning", async () => {
      const root = await makeRoot("r", life(0, 3650));
      const next = await makeRoot("next", life(0, 3650));
      const facts = { anchors: [anchor(root), anchor(next, "announced")] };
      const [first, second] = [fingerprintOf(root.certificate), fingerprintOf(next.certificate)];
      const late = await judge(mesh(facts, [certified("web", "", [first])]));
      assert.match(outcome(late, "weft-identity-data-plane-anchors").join(), /^warning,web does not trust "weft root next"/);
      const lost = await judge(mesh(facts, [certified("web", "", [second])]));
      assert.match(outcome(lost, "weft-identity-data-plane-anchors").join(), /^error,web does not trust "weft root r"/);
      const more = await judge(mesh(facts, [certified("web", "", [first, second, "00".repeat(32)])]));
      assert.match(outcome(more, "weft-identity-data-plane-anchors").join(), /^warning,web trusts what .* does not: SHA-256 0{16}\.\.\.$/);
    });

    it("a component that shares no root with any of them may be another mesh's", async () => {
      const root = await makeRoot("r", life(0, 3650));
      const { component } = mesh({ anchors: [anchor(root)] });
      const proxies = [certified("web", "", ["aa"]), certified("api", "", ["bb"])];
      const hint = async (found: Mesh["component"]): Promise<string | undefined> =>
        outcome(await judge({ component: found, proxies }), "weft-identity-data-plane-anchors")[1];
      assert.equal(await hint(component!), "no proxy shares a root with identity: this may be another mesh's identity component");
      const known = { ...component!, folder: "/data" };
      assert.equal(await hint(known), "no proxy shares a root with /data: this may be another mesh's folder");
      proxies.push(certified("job", "", [fingerprintOf(root.certificate)]));
      assert.match((await hint(known))!, /^web does not trust/);
    });

    it("a certificate of the issuer before is fine, one of a stranger is not", async () => {
      const root = await makeRoot("r", life(10, 3650));
      const issuer = await makeIssuer(root, "now", life(1, 29));
      const facts = { anchors: [anchor(root)], issuer: pem(issuer) };
      const before = await judge(
        mesh(facts, [certified("web", "CN=weft issuer old", [], { fromMs: now - 2 * DAY_MS, toMs: now + DAY_MS })]),
      );
      const passed = before.find(({ id }) => id === "weft-identity-data-plane-issuer");
      assert.deepEqual([passed?.result, passed?.note], ["success", "1 of 1 from an issuer before, until they are renewed"]);
      const stranger = await judge(mesh(facts, [certified("web", "CN=somebody", [])]));
      assert.equal(outcome(stranger, "weft-identity-data-plane-issuer")[0], "error");
      const current = await judge(mesh(facts, [certified("web", "CN=weft issuer now", [])]));
      assert.deepEqual(outcome(current, "weft-identity-data-plane-issuer"), ["success"]);
    });

    it("one that has ended, and one in its last sixth", async () => {
      const ended = await judge({ proxies: [certified("web", "", [], { fromMs: now - 2 * DAY_MS, toMs: now - DAY_MS })] });
      assert.match(outcome(ended, "weft-identity-data-plane-certificates").join(), /^error,the certificate of web ended at 20/);
      const late = await judge({ proxies: [certified("web", "", [], { fromMs: now - 9 * DAY_MS, toMs: now + DAY_MS })] });
      assert.deepEqual(outcome(late, "weft-identity-data-plane-certificates"), ["success"]);
      assert.match(outcome(late, "weft-identity-data-plane-renewal").join(), /^warning,the certificate of web ends in 2\d h$/);
    });

    it("without an identity component, proxies are compared with each other", async () => {
      const results = await judge({ proxies: [certified("web", "", ["aa"]), certified("api", "", ["bb"])] });
      assert.equal(outcome(results, "weft-identity-data-plane-anchors")[0], "error");
    });
  });
});

describe("a report from inside a container", () => {
  const report = { ...silentProxy(""), problem: null, isReady: true };

  it("is read back as it was written", () => {
    assert.deepEqual(parseReport(JSON.stringify({ nowMs: 1, report })), { nowMs: 1, report });
    const component = silentComponent("down");
    assert.deepEqual(parseReport(JSON.stringify({ nowMs: 1, report: component })), { nowMs: 1, report: component });
  });

  for (const text of [
    "",
    "{}",
    "[]",
    JSON.stringify({ report }),
    JSON.stringify({ nowMs: 1, report: { ...report, isReady: "yes" } }),
    JSON.stringify({ nowMs: 1, report: { ...report, identity: {} } }),
    JSON.stringify({ nowMs: 1, report: { ...report, kind: "other" } }),
    JSON.stringify({ nowMs: 1, report: { ...silentComponent(""), authority: { anchors: [{}], issuer: "", rotatesItself: true } } }),
  ]) {
    it(`is refused when it is ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.equal(parseReport(text), null);
    });
  }
});
