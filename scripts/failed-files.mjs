// A reporter for node's test runner: the path of each file in which a test failed, once, a line each.

import { relative } from "node:path";

export default async function* failedFiles(events) {
  const seen = new Set();
  for await (const { type, data } of events) {
    if (type !== "test:fail" || data.file === undefined || seen.has(data.file)) continue;
    seen.add(data.file);
    yield `${relative(process.cwd(), data.file)}\n`;
  }
}
