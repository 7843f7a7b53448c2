import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BAD_TRANSITION, isReceiving, isSending, nextState, StreamEvent, StreamState } from "../../../src/core/h2/stream-state.ts";

const { idle, open, halfClosedLocal, halfClosedRemote, closed } = StreamState;
const { sendHead, receiveHead, sendEnd, receiveEnd, reset } = StreamEvent;

/** Every arrow of the diagram of RFC 9113 5.1, without the reserved states. */
const ARROWS: readonly (readonly [StreamState, StreamEvent, StreamState])[] = [
  [idle, sendHead, open],
  [idle, receiveHead, open],
  [open, sendHead, open],
  [open, receiveHead, open],
  [open, sendEnd, halfClosedLocal],
  [open, receiveEnd, halfClosedRemote],
  [open, reset, closed],
  [halfClosedLocal, receiveHead, halfClosedLocal],
  [halfClosedLocal, receiveEnd, closed],
  [halfClosedLocal, reset, closed],
  [halfClosedRemote, sendHead, halfClosedRemote],
  [halfClosedRemote, sendEnd, closed],
  [halfClosedRemote, reset, closed],
];

describe("the states of a stream (RFC 9113 5.1)", () => {
  it("follow every arrow of the diagram, and no other", () => {
    for (const from of Object.values(StreamState)) {
      for (const event of Object.values(StreamEvent)) {
        const arrow = ARROWS.find((one) => one[0] === from && one[1] === event);
        assert.equal(nextState(from, event), arrow?.[2] ?? BAD_TRANSITION, `state ${from}, event ${event}`);
      }
    }
  });

  it("say who may still send", () => {
    assert.deepEqual(Object.values(StreamState).map(isReceiving), [false, true, true, false, false]);
    assert.deepEqual(Object.values(StreamState).map(isSending), [false, true, false, true, false]);
  });
});
