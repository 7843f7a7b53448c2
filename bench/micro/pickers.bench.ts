// What a pick costs, by picker and number of endpoints, and what the parts of it cost.
//
//   npm run bench -- micro pickers

import { createPicker } from "../../src/core/balance/create-picker.ts";
import { PeakEwma } from "../../src/core/balance/ewma.ts";
import type { Picker } from "../../src/core/balance/picker.ts";
import { createRandom } from "../../src/core/util/random.ts";
import { type FakeEndpoint, fakeEndpoint, fakeEndpoints } from "../../test/support/fake-endpoint.ts";
import { type MicroCase, runMicro } from "./support/micro.ts";

const KINDS = ["ewma", "p2c", "round-robin"] as const;
/** Milliseconds between two picks: 20,000 requests per second. */
const STEP_MS = 0.05;
/** Endpoints where changes are measured: the most that a service may have in the memory targets. */
const MANY = 5000;

const random = createRandom(1);

function filled(kind: (typeof KINDS)[number], count: number): { picker: Picker<FakeEndpoint>; endpoints: FakeEndpoint[] } {
  const picker = createPicker<FakeEndpoint>(kind);
  const endpoints = fakeEndpoints(count);
  picker.update(endpoints);
  for (const [i, endpoint] of endpoints.entries()) endpoint.ewma.observe(1 + (i % 7), 1 + i);
  return { picker, endpoints };
}

function pickCase(kind: (typeof KINDS)[number], count: number): MicroCase {
  const { picker } = filled(kind, count);
  let now = 10_000;
  return {
    name: `pick ${kind}, ${count} endpoints`,
    work: () => {
      now += STEP_MS;
      return picker.pick(now, random);
    },
    isRight: (endpoint) => endpoint !== null,
  };
}

function ewmaCases(): MicroCase[] {
  const ewma = new PeakEwma(10_000, 30, 0);
  let now = 1;
  const isCost = (cost: unknown): boolean => (cost as number) > 0;
  return [
    {
      name: "ewma observe",
      work: () => {
        now += STEP_MS;
        ewma.observe(3 + (now % 2), now);
        return now;
      },
      isRight: () => isCost(ewma.estimate(now)),
    },
    {
      name: "ewma estimate",
      work: () => {
        now += STEP_MS;
        return ewma.estimate(now);
      },
      isRight: isCost,
    },
    { name: "random", work: () => random(), isRight: (value) => (value as number) < 1 },
    { name: "Math.random", work: () => Math.random(), isRight: (value) => (value as number) < 1 },
  ];
}

function changeCases(): MicroCase[] {
  const { picker, endpoints } = filled("ewma", MANY);
  const lone = fakeEndpoint("lone");
  let turn = 0;
  const pickable = (): boolean => picker.pick(1e6, random) !== null;
  return [
    {
      name: `setReady twice, ${MANY} endpoints`,
      work: () => {
        const endpoint = endpoints[turn++ % MANY]!;
        picker.setReady(endpoint, false);
        picker.setReady(endpoint, true);
      },
      isRight: pickable,
    },
    {
      name: `update, ${MANY} endpoints, one more or less`,
      work: () => picker.update(turn++ % 2 === 0 ? endpoints : [...endpoints, lone]),
      isRight: pickable,
    },
  ];
}

await runMicro([...[3, 100, MANY].map((count) => KINDS.map((kind) => pickCase(kind, count))), ewmaCases(), changeCases()]);
