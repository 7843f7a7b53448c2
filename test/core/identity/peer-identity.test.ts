// Which identity a certificate's alternative names are, and which mixtures are none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { identityOfAltNames } from "../../../src/core/identity/peer-identity.ts";

const NAME = "web.shop.serviceaccount.identity.weft.cluster.local";
const URI = "spiffe://cluster.local/ns/shop/sa/web";
const WEB = { account: "web", namespace: "shop", controlNamespace: "weft", trustDomain: "cluster.local" };

test("both forms together, or either alone, are the identity", () => {
  assert.deepEqual(identityOfAltNames({ dns: [NAME], uris: [URI], others: 0 }), { identity: WEB });
  assert.deepEqual(identityOfAltNames({ dns: [NAME], uris: [], others: 0 }), { identity: WEB });
  assert.deepEqual(identityOfAltNames({ dns: [], uris: [URI], others: 0 }), { identity: WEB });
  assert.deepEqual(identityOfAltNames({ dns: [], uris: [URI], others: 0 }, "linkerd"), {
    identity: { ...WEB, controlNamespace: "linkerd" },
  });
  const linkerd = NAME.replace("weft", "linkerd");
  assert.deepEqual(identityOfAltNames({ dns: [linkerd], uris: [URI], others: 0 }), { identity: { ...WEB, controlNamespace: "linkerd" } });
});

const REFUSED: readonly (readonly [string, readonly string[], readonly string[], number, RegExp])[] = [
  ["no names", [], [], 0, /no alternative name/],
  ["two DNS names", [NAME, NAME.replace("web", "db")], [URI], 0, /several/],
  ["two URIs", [], [URI, URI], 0, /several/],
  ["names that differ", [NAME], [URI.replace("web", "db")], 0, /another workload's/],
  ["trust domains that differ", [NAME], [URI.replace("cluster.local", "evil.example")], 0, /another workload's/],
  ["a DNS name that is no workload", ["www.example.com"], [URI], 0, /www\.example\.com/],
  ["a URI that is no workload", [NAME], ["https://example.com/"], 0, /https:/],
  ["NUL in the name", [`${NAME}\0`], [], 0, /is no workload's/],
  ["an IP address beside it", [NAME], [URI], 1, /neither/],
];

for (const [what, dns, uris, others, problem] of REFUSED) {
  test(`refuses ${what}`, () => {
    const found = identityOfAltNames({ dns, uris, others });
    assert.ok("problem" in found);
    assert.match(found.problem, problem);
  });
}
