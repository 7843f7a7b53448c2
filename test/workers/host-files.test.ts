import assert from "node:assert/strict";
import { test } from "node:test";
import { candidates, parseHosts, parseResolvConf } from "../../src/workers/host-files.ts";

test("hosts: aliases, several lines of one name, comments, no scoped addresses (hosts(5))", () => {
  const hosts = parseHosts(
    "127.0.0.1 localhost\n::1\tlocalhost ip6-loopback # loop\n# 9.9.9.9 no\n10.0.0.7 DB db.shop\n\nfe80::1%lo0 localhost\n10.0.0.7 db\n",
  );
  assert.deepEqual(
    [...hosts],
    [
      ["localhost", ["127.0.0.1", "::1"]],
      ["ip6-loopback", ["::1"]],
      ["db", ["10.0.0.7"]],
      ["db.shop", ["10.0.0.7"]],
    ],
  );
});

test("resolv.conf: the last search or domain counts, ndots is bounded (resolv.conf(5))", () => {
  assert.deepEqual(parseResolvConf("nameserver 127.0.0.11\nsearch a.test b.test.\noptions edns0 ndots:5 trust-ad\n"), {
    search: ["a.test", "b.test"],
    ndots: 5,
  });
  assert.deepEqual(parseResolvConf("search a.test\ndomain c.test ignored\noptions ndots:99"), { search: ["c.test"], ndots: 15 });
  assert.deepEqual(parseResolvConf("; nothing\n"), { search: [], ndots: 1 });
});

test("a name with fewer dots than ndots is searched first, one with more is tried as it is first", () => {
  const rules = { search: ["shop.test", "test"], ndots: 2 };
  assert.deepEqual(candidates("web", rules), ["web.shop.test", "web.test", "web"]);
  assert.deepEqual(candidates("a.b.c", rules), ["a.b.c", "a.b.c.shop.test", "a.b.c.test"]);
});

test("a final dot means exactly this name", () => {
  assert.deepEqual(candidates("web.", { search: ["shop.test"], ndots: 5 }), ["web"]);
});
