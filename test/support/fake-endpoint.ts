// Endpoints for tests of balancing: no sockets behind them.

import { EWMA_DECAY_MS, EWMA_DEFAULT_RTT_MS, PeakEwma } from "../../src/core/balance/ewma.ts";
import { NOT_MEMBER, type PickableEndpoint } from "../../src/core/balance/picker.ts";

export interface FakeEndpoint extends PickableEndpoint {
  readonly name: string;
}

export function fakeEndpoint(name: string, isReady = true, nowMs = 0): FakeEndpoint {
  return { name, isReady, inFlight: 0, ewma: new PeakEwma(EWMA_DECAY_MS, EWMA_DEFAULT_RTT_MS, nowMs), readyIndex: NOT_MEMBER };
}

export function fakeEndpoints(count: number): FakeEndpoint[] {
  return Array.from({ length: count }, (_, index) => fakeEndpoint(`e${index}`));
}
