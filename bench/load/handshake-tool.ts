// `openssl s_time`: TLS connections one after the other, each with one request, without a session or with the one before it.
//
// A process of it makes one connection at a time, so several run beside each other. It marks every connection: `r` where its session was
// resumed. A run that should have resumed and did not, or resumed where it should not, is an error and no figure.

import type { ToolResult } from "./tools.ts";

/** Of its report, each on a line of its own. */
const COUNT = /^(\d+) connections in (\d+) real seconds, (\d+) bytes read per connection$/m;
const MARKS = /^[*rt3]+$/m;

export function handshakeArguments(port: number, path: string, resumes: boolean, seconds: number): string[] {
  return ["s_time", "-connect", `127.0.0.1:${port}`, "-tls1_3", "-www", path, resumes ? "-reuse" : "-new", "-time", String(seconds)];
}

/** What one process has said. Its first connection cannot resume anything, and is not counted by it. */
export function parseHandshakes(output: string, resumes: boolean, responseBytes: number): ToolResult {
  const [, count = "0", , size = "0"] = COUNT.exec(output) ?? [];
  const marks = MARKS.exec(output)?.[0] ?? "";
  const requests = Number(count);
  const resumed = marks.split("r").length - 1;
  const wrong = resumes ? requests - resumed : resumed;
  const details = [
    ...(wrong > 0 ? [`${wrong} of ${requests} sessions were ${resumes ? "not resumed" : "resumed"}`] : []),
    // With its head an answer is larger than its body; an error of the proxy's is smaller.
    ...(requests > 0 && Number(size) < responseBytes ? [`${size} bytes per answer: they are not the origin's`] : []),
  ];
  return {
    requests,
    errors: details.length === 0 ? 0 : Math.max(wrong, 1),
    errorDetail: details.length === 0 ? null : details.join("; "),
    durationMs: null,
    report: { requestsPerSecond: null, latencyUs: {}, meanUs: null, maxUs: null, bytesPerSecond: null },
    output,
  };
}

/** Several processes as one. */
export function sumOfHandshakes(results: readonly ToolResult[]): ToolResult {
  const [first] = results;
  if (first === undefined) throw new Error("no process of openssl s_time");
  return {
    ...first,
    requests: results.reduce((sum, { requests }) => sum + requests, 0),
    errors: results.reduce((sum, { errors }) => sum + errors, 0),
    errorDetail: results.find(({ errorDetail }) => errorDetail !== null)?.errorDetail ?? null,
    output: results.map(({ output }) => output).join("\n"),
  };
}
