// The configured defaults are the engine's own.

import assert from "node:assert/strict";
import { it } from "node:test";
import { DEFAULT_LIMITS } from "../../src/config/limits.ts";
import { DEFAULT_H2_LIMITS } from "../../src/core/h2/limits.ts";
import { h2Limits } from "../../src/workers/h2-limits.ts";

it("hands the HTTP/2 engine its own defaults", () => {
  assert.deepEqual(h2Limits(DEFAULT_LIMITS), DEFAULT_H2_LIMITS);
});
