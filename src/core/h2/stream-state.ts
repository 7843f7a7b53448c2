// The states of a stream (RFC 9113 section 5.1) and nothing else.
//
//                        receive HEADERS / send HEADERS
//                  idle --------------------------------> open
//                                                        /    \
//                              receive END_STREAM      /        \     send END_STREAM
//                                                    v            v
//                               half-closed (remote)                half-closed (local)
//                                                    \            /
//                                send END_STREAM       \        /     receive END_STREAM
//                                                        v    v
//        any but idle -- send / receive RST_STREAM --> closed
//
// Reserved states do not exist: Weft neither pushes nor lets itself be pushed to. Every combination that the table does not list is
// an error of whoever caused it.

export const StreamState = { idle: 0, open: 1, halfClosedLocal: 2, halfClosedRemote: 3, closed: 4 } as const;
export type StreamState = (typeof StreamState)[keyof typeof StreamState];

export const StreamEvent = { sendHead: 0, receiveHead: 1, sendEnd: 2, receiveEnd: 3, reset: 4 } as const;
export type StreamEvent = (typeof StreamEvent)[keyof typeof StreamEvent];

/** The result of a transition that is not in the diagram. */
export const BAD_TRANSITION = -1;

const EVENTS = 5;
const NEXT = new Int8Array(5 * EVENTS).fill(BAD_TRANSITION);

function allow(from: StreamState, event: StreamEvent, to: StreamState): void {
  NEXT[from * EVENTS + event] = to;
}

allow(StreamState.idle, StreamEvent.sendHead, StreamState.open);
allow(StreamState.idle, StreamEvent.receiveHead, StreamState.open);

allow(StreamState.open, StreamEvent.sendHead, StreamState.open);
allow(StreamState.open, StreamEvent.receiveHead, StreamState.open);
allow(StreamState.open, StreamEvent.sendEnd, StreamState.halfClosedLocal);
allow(StreamState.open, StreamEvent.receiveEnd, StreamState.halfClosedRemote);
allow(StreamState.open, StreamEvent.reset, StreamState.closed);

allow(StreamState.halfClosedLocal, StreamEvent.receiveHead, StreamState.halfClosedLocal);
allow(StreamState.halfClosedLocal, StreamEvent.receiveEnd, StreamState.closed);
allow(StreamState.halfClosedLocal, StreamEvent.reset, StreamState.closed);

allow(StreamState.halfClosedRemote, StreamEvent.sendHead, StreamState.halfClosedRemote);
allow(StreamState.halfClosedRemote, StreamEvent.sendEnd, StreamState.closed);
allow(StreamState.halfClosedRemote, StreamEvent.reset, StreamState.closed);

/** The state behind an event, or `BAD_TRANSITION`. */
export function nextState(state: StreamState, event: StreamEvent): StreamState | typeof BAD_TRANSITION {
  return NEXT[state * EVENTS + event]! as StreamState | typeof BAD_TRANSITION;
}

/** May the peer still send on it? */
export function isReceiving(state: StreamState): boolean {
  return state === StreamState.open || state === StreamState.halfClosedLocal;
}

/** May we still send on it? */
export function isSending(state: StreamState): boolean {
  return state === StreamState.open || state === StreamState.halfClosedRemote;
}
