// Which test files there are, and which of them CI may run beside others.
//
// `npm test` and `npm run test:peers` are all of theirs. CI runs the first as it is, and the second's files in three parts (CI_PARTS): every file is in
// exactly one of them, whatever is added, because the first part is what the lists below leave over.

import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Their time passes in waiting: for clocks to be compared, for grace and patience. None of them asserts how long something takes, and each ran on a busy
 * machine. Most of a core's time is free beside them.
 */
const WAITING = [
  "test/peers/clock-jumps.test.ts",
  "test/peers/init-hold.test.ts",
  "test/peers/job-end.test.ts",
  "test/peers/run.test.ts",
  "test/peers/transparent-policy.test.ts",
  "test/peers/transparent.test.ts",
];

/** They hold latencies and costs against something: the machine is theirs alone. */
const MEASURING = ["test/peers/budget.test.ts", "test/peers/slow-attacks.test.ts"];

/** Paths of all files below a folder, relative to the project, sorted; empty without the folder. */
export function filesBelow(folder) {
  const absolute = join(ROOT, folder);
  if (!existsSync(absolute)) return [];
  const found = [];
  for (const entry of readdirSync(absolute, { withFileTypes: true })) {
    if (entry.isDirectory()) found.push(...filesBelow(join(folder, entry.name)));
    else found.push(join(folder, entry.name));
  }
  return found.sort();
}

export function testFiles(folder, except = []) {
  return filesBelow(folder).filter(
    (path) => path.endsWith(".test.ts") && !except.some((name) => path.startsWith(join(folder, name) + "/")),
  );
}

/** What `npm test` runs. */
export function ownTests() {
  return testFiles("test", ["peers", "containers"]);
}

/** What `npm run test:peers` runs. */
export function peerTests() {
  return testFiles("test/peers");
}

const isApart = (path) => WAITING.includes(path) || MEASURING.includes(path);

/** By the name of the task. */
export const CI_PARTS = {
  "test:others": () => peerTests().filter((path) => !isApart(path)),
  "test:waiting": () => WAITING,
  "test:measuring": () => MEASURING,
};
