// The one door of every npm script: `node scripts/run.mjs TASK [ARGUMENTS]`.
//
// Plain JavaScript without dependencies, because it runs first on a fresh clone, under whatever Node 20 or newer the
// machine has. It installs what the lock file names (if that is not there yet), builds (if src changed since), and runs
// the task under the Node that the project pins. Arguments, signals and the exit code pass through.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { CI_PARTS, filesBelow, ownTests, peerTests, testFiles } from "./test-files.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, "node_modules");
/** This script itself needs it; Weft needs 22.18, which the install brings. */
const STARTER_MAJOR = 20;
const RUNTIME_MIN = [22, 18];
/** Two cores: two test files at a time. Tests against other programs run one by one. */
const TEST_CONCURRENCY = 2;
/** A test that hangs is a failure, not a stuck run. */
const TEST_TIMEOUT_MS = 180_000;
/** A file of container tests starts twenty containers, and more than once. */
const CONTAINER_TEST_TIMEOUT_MS = 600_000;
/** How soon after npm's end what it started ends too. */
const PARENT_WATCH_MS = 1_000;

/**
 * What tests get of the caller's environment: what surrounds a run (HTTP proxies, NODE_OPTIONS, a time zone, WEFT_CONFIG) decides nothing. The
 * container engine's tests get all: the engine is the machine's own.
 */
const OF_TESTS = /^(PATH|HOME|TMPDIR|LD_LIBRARY_PATH|CI|NO_COLOR|TERM|COLORTERM|GIT_CONFIG_GLOBAL|WEFT_(TEST|UPDATE|CORPUS)_\w+)$/;
/** Others may read what is not made private. */
const TEST_UMASK = 0o022;

/** Brings the container engine, runs what follows, takes down what it brought. */
const WITH_ENGINE = ["bash", "test/containers/engine.sh", "run"];

const tsc = ["node_modules/typescript/bin/tsc"];
const biome = ["node_modules/@biomejs/biome/bin/biome"];
const knip = ["node_modules/knip/bin/knip.js"];

/** Each task: whether it needs `dist`, the command lines (of the pinned Node) that it runs one after the other, `through` what, in which folder, and with which part of the environment. */
const TASKS = {
  start: { build: true, commands: (args) => [["dist/cli/demo/main.js", ...args]] },
  // Paths among its arguments are the caller's: npm has gone to the project's folder.
  weft: { build: true, folder: process.env.INIT_CWD ?? process.cwd(), commands: (args) => [[join(ROOT, "bin", "weft.mjs"), ...args]] },
  test: { build: true, only: OF_TESTS, commands: (args) => [testCommand(args, ownTests(), TEST_CONCURRENCY)] },
  "test:peers": { build: true, only: OF_TESTS, commands: (args) => [testCommand(args, peerTests(), 1)] },
  // The same files, as CI runs them (.ci/run).
  "test:others": { build: true, only: OF_TESTS, commands: (args) => [testCommand(args, CI_PARTS["test:others"](), 1)] },
  "test:waiting": { build: true, only: OF_TESTS, commands: (args) => [testCommand(args, CI_PARTS["test:waiting"](), TEST_CONCURRENCY)] },
  "test:measuring": { build: true, only: OF_TESTS, commands: (args) => [testCommand(args, CI_PARTS["test:measuring"](), 1)] },
  "test:containers": { build: true, through: WITH_ENGINE, commands: (args) => [containerTestCommand(args)] },
  "test:house": { build: false, only: OF_TESTS, commands: (args) => [testCommand(args, testFiles("test/house"), TEST_CONCURRENCY)] },
  build: { build: true, commands: () => [] },
  lint: { build: false, commands: (args) => [[...biome, "check", "--error-on-warnings", ...args]] },
  format: { build: false, commands: () => [[...biome, "check", "--write"]] },
  knip: { build: false, commands: (args) => [[...knip, ...args]] },
  types: { build: false, commands: () => [[...tsc, "-p", "tsconfig.check.json"]] },
  lock: { build: false, commands: () => [["scripts/complete-lock.ts"]] },
  proto: { build: false, commands: () => [["scripts/proto.ts"]] },
  docs: { build: false, commands: () => [["scripts/docs.ts"]] },
  check: {
    build: true,
    commands: () => [
      ...TASKS.lint.commands([]),
      ...TASKS.knip.commands([]),
      ...TASKS.types.commands([]),
      ...TASKS["test:house"].commands([]),
    ],
  },
  bench: { build: true, commands: (args) => [["bench/main.ts", ...args]] },
  fuzz: { build: true, commands: (args) => [["test/fuzz/main.ts", ...args]] },
};

function fail(message) {
  process.stderr.write(`weft: ${message}\n`);
  process.exit(1);
}

function say(message) {
  process.stderr.write(`weft: ${message}\n`);
}

/** Arguments that are no options replace the list of files. */
function testCommand(args, files, concurrency, timeoutMs = TEST_TIMEOUT_MS) {
  const chosen = args.some((arg) => !arg.startsWith("-")) ? [] : files;
  if (chosen.length === 0 && args.length === 0) fail("there are no such tests yet");
  const options = ["--test", "--test-reporter=spec", `--test-concurrency=${concurrency}`, `--test-timeout=${timeoutMs}`];
  return [...options, ...args, ...chosen];
}

function containerTestCommand(args) {
  return testCommand(args, testFiles("test/containers"), 1, CONTAINER_TEST_TIMEOUT_MS);
}

/** True when every package that the lock file asks for here is installed in exactly that version. */
function isInstalled() {
  let installed;
  try {
    installed = JSON.parse(readFileSync(join(MODULES, ".package-lock.json"), "utf8")).packages;
  } catch {
    return false;
  }
  const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  // Optional packages are for other systems, or could not be installed here: only their version counts, if they are there.
  return Object.keys(wanted).every((path) => {
    const here = installed[path];
    return path === "" || (here === undefined ? wanted[path].optional === true : here.version === wanted[path].version);
  });
}

/** Runs npm without its shell wrapper where npm told us where it is. */
function install() {
  say("installing the packages of package-lock.json (once; needs the npm registry) ...");
  const began = Date.now();
  // No package needs its install script; optional ones bring the pinned Node; engine warnings are about the Node that
  // started this script, not about the one that runs Weft.
  const args = ["ci", "--ignore-scripts", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = process.env.npm_execpath;
  const direct = npm !== undefined && /npm-cli\.c?js$/.test(npm);
  const result = spawnSync(direct ? process.execPath : "npm", direct ? [npm, ...args] : args, {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (result.error !== undefined) fail(`npm could not be started: ${result.error.message}`);
  if (result.status !== 0) fail("npm ci failed; its own message is above");
  say(`installed in ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return major > RUNTIME_MIN[0] || (major === RUNTIME_MIN[0] && minor >= RUNTIME_MIN[1]);
}

/** The pinned Node if it is there and starts on this system, else the current one if it is new enough. */
function findNode() {
  const pinned = join(MODULES, `node-linux-${process.arch}`, "bin", "node");
  if (process.platform === "linux" && existsSync(pinned)) {
    // Its C library may be missing (musl): then the machine's own Node has to do.
    const probe = spawnSync(pinned, ["--version"], { encoding: "utf8" });
    if (probe.status === 0 && isNewEnough(probe.stdout.trim())) return pinned;
  }
  if (isNewEnough(process.version)) return process.execPath;
  return fail(
    `there is no pinned Node for ${process.platform}-${process.arch}, and this Node ${process.version} is too old: ` +
      `install Node ${RUNTIME_MIN.join(".")} or newer`,
  );
}

/** Changes whenever a source is added, removed or edited. */
function sourceFingerprint() {
  const hash = createHash("sha256");
  for (const path of [...filesBelow("src"), "tsconfig.json", "package-lock.json"]) {
    const stat = statSync(join(ROOT, path));
    hash.update(`${path} ${stat.size} ${stat.mtimeMs}\n`);
  }
  return hash.digest("hex");
}

function buildIfNeeded(node) {
  const stamp = join(ROOT, "dist", ".built");
  const fingerprint = sourceFingerprint();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint) return;
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  rmSync(stamp, { force: true });
  const result = spawnSync(node, [...tsc, "-p", "tsconfig.json"], { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] });
  if (result.status !== 0) fail("the build failed; the compiler's messages are above");
  // What a removed source left behind must not be found by anything.
  for (const path of filesBelow("dist")) {
    const source = join("src", relative("dist", path)).replace(/\.js$/, ".ts");
    if (path.endsWith(".js") && !existsSync(join(ROOT, source))) rmSync(join(ROOT, path), { force: true });
  }
  writeFileSync(stamp, fingerprint);
}

/** Runs one command line of a task under `node`; resolves with its exit code. */
function run({ through = [], folder = ROOT, only = /./ }, node, args) {
  return new Promise((resolve) => {
    const path = `${join(MODULES, ".bin")}${delimiter}${process.env.PATH ?? ""}`;
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => only.test(name)));
    const [program, ...words] = [...through, node, ...args];
    const child = spawn(program, words, { cwd: folder, stdio: "inherit", env: { ...inherited, PATH: path } });
    // A terminal sends Ctrl-C to the whole group; everybody else only to us.
    const passOn = (signal) => {
      if (signal !== "SIGINT" || process.stdin.isTTY !== true) child.kill(signal);
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, passOn);
    // npm ends by SIGTERM without telling us: then its shell is gone, and we are somebody else's child.
    const parent = process.ppid;
    const isOrphan = () => process.env.npm_lifecycle_event !== undefined && process.ppid !== parent;
    const watch = setInterval(() => isOrphan() && child.kill("SIGTERM"), PARENT_WATCH_MS);
    child.on("error", (error) => fail(`${program} could not be started: ${error.message}`));
    child.on("exit", (code, signal) => {
      clearInterval(watch);
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.off(name, passOn);
      resolve(signal === null ? code : 128 + constants.signals[signal]);
    });
  });
}

async function main() {
  if (Number(process.versions.node.split(".")[0]) < STARTER_MAJOR) {
    fail(`this Node is ${process.version}; Weft needs Node ${STARTER_MAJOR} or newer to install and start itself`);
  }
  const [name, ...args] = process.argv.slice(2);
  const task = Object.hasOwn(TASKS, name ?? "") ? TASKS[name] : undefined;
  if (task === undefined) fail(`there is no task '${name ?? ""}'; there are: ${Object.keys(TASKS).join(", ")}`);
  if (!isInstalled()) install();
  const node = findNode();
  if (task.build) buildIfNeeded(node);
  if (task.only !== undefined) process.umask(TEST_UMASK);
  for (const command of task.commands(args)) {
    const code = await run(task, node, command);
    if (code !== 0) process.exit(code);
  }
}

await main();
