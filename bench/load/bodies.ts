// Bodies of 64 KB and 1 MB, both ways: here bytes cost, not requests. Ratios are against HAProxy, which is best at it.

import { type Bar, CLOSED_LOOP, type Load, ORDINARY, type Scenario, WARM_BODIES } from "./scenario.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Enough to keep every core busy; more only waits. */
const CONNECTIONS = 16;
/** Percent of the body bytes that may be copied in user space. */
const COPIED_PERCENT_MAX = 5;

function download(bytes: number, path: string): Load {
  return {
    ...CLOSED_LOOP,
    tools: ["wrk", "open-loop"],
    what: "downloads, as fast as they come",
    path,
    responseBytes: bytes,
    connections: CONNECTIONS,
  };
}

/** The answer to an upload is the number of its bytes. */
function upload(bytes: number): Load {
  const what = "uploads, as fast as they are taken";
  const responseBytes = String(bytes).length;
  return {
    ...CLOSED_LOOP,
    tools: ["wrk", "open-loop"],
    what,
    path: "/upload",
    requestBytes: bytes,
    responseBytes,
    connections: CONNECTIONS,
  };
}

function scenario(name: string, what: string, load: Load, bars: readonly Bar[]): Scenario {
  const isUpload = load.requestBytes > 0;
  return { ...ORDINARY, name, what, origin: isUpload ? "uws" : null, warmRequests: WARM_BODIES, reference: "haproxy", loads: [load], bars };
}

const LARGE_BARS: readonly Bar[] = [
  { measure: "cpu", load: CLOSED_LOOP.id, against: "haproxy", bar: 0.9, goal: 0.75 },
  { measure: "copied", load: CLOSED_LOOP.id, bar: COPIED_PERCENT_MAX, goal: COPIED_PERCENT_MAX },
];

export const BODIES: readonly Scenario[] = [
  scenario("download-64k", "64 KB answers over 16 connections", download(64 * KIB, "/64k"), []),
  scenario("upload-64k", "64 KB requests over 16 connections", upload(64 * KIB), []),
  scenario("download-1m", "1 MB answers over 16 connections", download(MIB, "/1m"), LARGE_BARS),
  scenario("upload-1m", "1 MB requests over 16 connections", upload(MIB), LARGE_BARS),
];
