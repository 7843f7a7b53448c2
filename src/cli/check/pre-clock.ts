// Checks of this host's clock, without the internet: is the year possible, does the kernel call it synchronised, does it agree with a host that
// was named.

import { existsSync } from "node:fs";
import { formatHostPort } from "../../config/address.ts";
import { ask, type Place } from "./ask.ts";
import { skewOutcome } from "./mesh-checks.ts";
import type { Outcome } from "./run-checks.ts";

/** This version did not exist before; after that it is a typing error. */
const YEAR_MIN = 2026;
const YEAR_MAX = 2099;

/** systemd-timesyncd makes it once the clock is right. */
const SYNCHRONISED_FILE = "/run/systemd/timesync/synchronized";

/** The `Date` field has whole seconds. */
const DATE_STEP_MS = 1_000;

export function lookAtYear(now: Date): Outcome {
  const year = now.getUTCFullYear();
  return year >= YEAR_MIN && year <= YEAR_MAX
    ? { ok: true, note: now.toISOString() }
    : { problem: [`the clock says ${now.toISOString()}`] };
}

export async function lookAtSynchronisation(): Promise<Outcome> {
  if (existsSync(SYNCHRONISED_FILE)) return { ok: true, note: "systemd-timesyncd says so" };
  try {
    const { isClockSynchronised } = await import("../../workers/system-calls.ts");
    const isSynchronised = isClockSynchronised();
    if (isSynchronised === null) return { problem: ["the kernel does not tell this process whether its clock is synchronised"] };
    return isSynchronised
      ? { ok: true, note: "the kernel says so" }
      : { problem: ["nothing keeps this host's clock right, as far as the kernel knows"] };
  } catch {
    // Without system calls another check has failed already.
    return null;
  }
}

export async function lookAtAgainst(place: Place): Promise<Outcome> {
  const name = "host" in place ? formatHostPort(place) : place.socketPath;
  try {
    const { headers, askedAtMs, answeredAtMs } = await ask(place, { method: "HEAD", path: "/" });
    const date = headers["date"];
    const timeMs = typeof date === "string" ? Date.parse(date) : Number.NaN;
    if (Number.isNaN(timeMs)) return { problem: [`${name} answers without a Date`], severity: "warning" };
    // Somewhere within the second that it names.
    const aheadMs = timeMs + DATE_STEP_MS / 2 - (askedAtMs + answeredAtMs) / 2;
    return skewOutcome([{ name, clock: { aheadMs, uncertainMs: (DATE_STEP_MS + Math.abs(answeredAtMs - askedAtMs)) / 2 } }]);
  } catch (error) {
    return { problem: [`${name} cannot be asked: ${(error as Error).message}`], severity: "warning" };
  }
}
