import assert from "node:assert/strict";
import { test } from "node:test";
import { orderOfRound } from "../../bench/engine/order.ts";

test("rounds alternate: everybody once each, and the one that was last is first", () => {
  const subjects = ["direct", "weft", "nginx"];
  assert.deepEqual(orderOfRound(subjects, 1), ["direct", "weft", "nginx"]);
  assert.deepEqual(orderOfRound(subjects, 2), ["nginx", "weft", "direct"]);
  assert.deepEqual(orderOfRound(subjects, 3), ["direct", "weft", "nginx"]);
  assert.deepEqual(subjects, ["direct", "weft", "nginx"]);
});

test("over an even number of rounds every subject has the same mean place", () => {
  const subjects = ["a", "b", "c", "d", "e"];
  const places = new Map(subjects.map((name) => [name, 0]));
  for (let round = 1; round <= 10; round++) {
    for (const [place, name] of orderOfRound(subjects, round).entries()) places.set(name, places.get(name)! + place);
  }
  assert.deepEqual([...new Set(places.values())], [20]);
});
