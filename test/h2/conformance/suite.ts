// The whole HTTP/2 conformance suite, and its runner for any server: 146 cases, each a test; a waiver has to cite the RFC.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Case, runCase, type Target } from "./case.ts";
import { connectionCases } from "./connection.ts";
import { frameCases } from "./frames.ts";
import { genericCases } from "./generic.ts";
import { hpackCases, messageCases } from "./messages.ts";

/** 44 of the group generic, 94 of http2, 8 of hpack. */
export function conformanceCases(): Case[] {
  return [...genericCases(), ...connectionCases(), ...frameCases(), ...messageCases(), ...hpackCases()];
}

/** A case that a server does not pass, and why it may. */
export interface Waiver {
  /** Such as `http2/5.3.1/2`. */
  readonly id: string;
  /** With the place in the RFC: `RFC 9113 5.3.2: priorities are no longer read`. */
  readonly reason: string;
}

/** How long a waived case waits for the outcome that it will not get. */
const WAIVED_DEADLINE_MS = 1_000;

/** Makes one test per case against `target`, which is asked for when the tests run. A waived case has to fail, or the waiver is stale. */
export function testConformance(name: string, target: () => Target, waivers: readonly Waiver[] = [], all = conformanceCases()): void {
  const waived = new Map(waivers.map(({ id, reason }) => [id, reason]));
  describe(`HTTP/2 conformance of ${name}`, { concurrency: 8 }, () => {
    for (const one of all) {
      const reason = waived.get(one.id);
      waived.delete(one.id);
      if (reason === undefined) {
        it(`${one.id}: ${one.title} (${one.rfc})`, () => runCase(one, target()));
      } else {
        it(`${one.id}: waived, ${reason}`, async () => {
          assert.match(reason, /RFC \d+ \d/, "a waiver says where the RFC allows it");
          await assert.rejects(runCase(one, { ...target(), deadlineMs: WAIVED_DEADLINE_MS }), "this case passes: the waiver can go");
        });
      }
    }
    it("every waiver names a case", () => assert.deepEqual([...waived.keys()], []));
  });
}
