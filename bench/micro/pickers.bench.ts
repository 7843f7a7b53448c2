// What a pick costs, by picker and number of endpoints, and what the parts of it cost.
// Run: node_modules/.bin/node bench/micro/pickers.bench.ts

import { bench, do_not_optimize, run, summary } from "mitata";
import { createPicker } from "../../src/core/balance/create-picker.ts";
import { PeakEwma } from "../../src/core/balance/ewma.ts";
import { createRandom } from "../../src/core/util/random.ts";
import { type FakeEndpoint, fakeEndpoint } from "../../test/support/fake-endpoint.ts";

const random = createRandom(1);

for (const count of [3, 100, 5000]) {
  summary(() => {
    for (const kind of ["ewma", "p2c", "round-robin"] as const) {
      const picker = createPicker<FakeEndpoint>(kind);
      const endpoints = Array.from({ length: count }, (_, i) => fakeEndpoint(`e${i}`));
      picker.update(endpoints);
      for (const [i, endpoint] of endpoints.entries()) endpoint.ewma.observe(1 + (i % 7), 1 + i);
      let now = 10_000;
      bench(`pick ${kind}, ${count} endpoints`, () => {
        now += 0.05;
        do_not_optimize(picker.pick(now, random));
      });
    }
  });
}

const ewma = new PeakEwma(10_000, 30, 0);
let now = 1;
summary(() => {
  bench("ewma observe", () => {
    now += 0.05;
    ewma.observe(3 + (now % 2), now);
  });
  bench("ewma estimate", () => {
    now += 0.05;
    do_not_optimize(ewma.estimate(now));
  });
  bench("random", () => do_not_optimize(random()));
  bench("Math.random", () => do_not_optimize(Math.random()));
});

const flip = createPicker<FakeEndpoint>("ewma");
const members = Array.from({ length: 5000 }, (_, i) => fakeEndpoint(`e${i}`));
flip.update(members);
let turn = 0;
bench("setReady twice, 5000 endpoints", () => {
  const endpoint = members[turn++ % 5000]!;
  flip.setReady(endpoint, false);
  flip.setReady(endpoint, true);
});
bench("update, 5000 endpoints", () => flip.update(members));

await run();
