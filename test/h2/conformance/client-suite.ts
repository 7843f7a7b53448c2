// Runs the cases of clients against any client that can be told to ask a server on a port: an HTTP/2 library, or a proxy in between.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Flag, FrameType, headers } from "../../support/h2-frames.ts";
import { block } from "../../support/h2-hpack.ts";
import { H2Peer } from "../../support/h2-peer.ts";
import { H2Server } from "../../support/h2-server.ts";
import { DEADLINE_MS, within } from "../../support/wait.ts";
import { clientCases } from "./client-cases.ts";
import { type ClientCase, ServerTalk } from "./server-talk.ts";
import type { Waiver } from "./suite.ts";

export interface Asker {
  /** One GET: true when it got a whole answer of status 200, false when it failed in whatever way. */
  ask(): Promise<boolean>;
  stop(): Promise<void>;
}

/** Asks through a proxy that speaks HTTP/2 with prior knowledge, on a connection of its own each time. */
export async function askThrough(port: number, authority = "web"): Promise<boolean> {
  const peer = await H2Peer.open({ port, credit: true });
  try {
    const request = [
      [":method", "GET"] as const,
      [":scheme", "http"] as const,
      [":path", "/"] as const,
      [":authority", authority] as const,
    ];
    peer.send(headers(1, block(request), { endStream: true }));
    let status = "";
    for (;;) {
      const received = await peer.next("the end of the answer");
      if (received === null || received.type === FrameType.RST_STREAM) return false;
      status = received.fields?.find(([name]) => name === ":status")?.[1] ?? status;
      const mayEnd = received.type === FrameType.HEADERS || received.type === FrameType.DATA;
      if (mayEnd && (received.flags & Flag.END_STREAM) !== 0) return status === "200";
    }
  } finally {
    peer.destroy();
  }
}

/** How long a waived case waits for the outcome that it will not get. */
const WAIVED_DEADLINE_MS = 1_000;

/** A raw server whose behaviour changes from case to case. */
class Stage {
  readonly server: H2Server;
  #current: ClientCase | null = null;
  /** Outcomes of the scripts of the connections that asked for something; undefined when all was right. */
  #verdicts: Promise<Error | undefined>[] = [];

  private constructor(server: H2Server) {
    this.server = server;
  }

  static async start(deadlineMs: number): Promise<Stage> {
    let stage: Stage | undefined;
    const server = await H2Server.start(async (peer) => stage!.#play(new ServerTalk(peer)), { deadlineMs });
    stage = new Stage(server);
    return stage;
  }

  /** One case: asks once, and waits for both ends. */
  async run(one: ClientCase, asker: Asker, deadlineMs: number): Promise<void> {
    this.#current = one;
    this.#verdicts = [];
    const hasSucceeded = await within("the request's end", asker.ask(), deadlineMs);
    // A connection that the client keeps open has shown all that it will.
    if (one.succeeds === true) for (const peer of this.server.peers) peer.destroy();
    assert.ok(this.#verdicts.length > 0, "nobody connected");
    const error = await this.#verdicts[0];
    for (const peer of this.server.peers.splice(0)) peer.destroy();
    if (error !== undefined) throw error;
    if (one.succeeds !== null) assert.equal(hasSucceeded, one.succeeds, hasSucceeded ? "the request succeeded" : "the request failed");
  }

  async #play(talk: ServerTalk): Promise<void> {
    const one = this.#current;
    if (one === null) return talk.peer.destroy();
    const script = async (): Promise<undefined> => {
      if (!one.isRaw) await talk.peer.accept();
      await one.script(talk);
    };
    const verdict = script().catch((error: Error) => error);
    this.#verdicts.push(verdict);
    await verdict;
    talk.peer.destroy();
  }
}

/** One test per case. A waived case has to fail, or the waiver is stale. */
export function testClient(
  name: string,
  start: (serverPort: number) => Promise<Asker>,
  waivers: readonly Waiver[] = [],
  all = clientCases(),
): void {
  const waived = new Map(waivers.map(({ id, reason }) => [id, reason]));
  describe(`HTTP/2 conformance of ${name} as a client`, () => {
    let stage: Stage;
    let asker: Asker;
    let waivedStage: Stage;
    let waivedAsker: Asker;
    before(async () => {
      stage = await Stage.start(DEADLINE_MS);
      asker = await start(stage.server.port);
      waivedStage = await Stage.start(WAIVED_DEADLINE_MS);
      waivedAsker = await start(waivedStage.server.port);
    });
    after(async () => {
      await asker?.stop();
      await waivedAsker?.stop();
      await stage?.server.stop();
      await waivedStage?.server.stop();
    });

    for (const one of all) {
      const reason = waived.get(one.id);
      waived.delete(one.id);
      if (reason === undefined) {
        it(`${one.id}: ${one.title} (${one.rfc})`, () => stage.run(one, asker, DEADLINE_MS));
      } else {
        it(`${one.id}: waived, ${reason}`, async () => {
          assert.match(reason, /RFC \d+ \d/, "a waiver says where the RFC allows it");
          await assert.rejects(waivedStage.run(one, waivedAsker, WAIVED_DEADLINE_MS), "this case passes: the waiver can go");
        });
      }
    }
    it("every waiver names a case", () => assert.deepEqual([...waived.keys()], []));
  });
}
