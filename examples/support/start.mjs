// What the start scripts of the examples share: it looks whether the ports are free, builds, starts the programs, waits until they answer,
// says what to try, and ends them all at Ctrl-C or after `--seconds N`.

import { spawn, spawnSync } from "node:child_process";
import { createServer, connect } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SUPPORT = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(dirname(SUPPORT));
const NODE = join(ROOT, "node_modules/.bin/node");
const READY_MS = 30_000;
const LOOK_MS = 50;

/** The command line of Weft. */
export const weft = (...args) => [NODE, join(ROOT, "bin/weft.mjs"), ...args];
/** The command line of a service: its name, where it listens, whom it asks. */
export const service = (...args) => [NODE, join(SUPPORT, "service.mjs"), ...args];

const started = [];
let isStopping = false;

function stop(code) {
  isStopping = true;
  for (const child of started) child.kill("SIGTERM");
  process.exitCode = code;
}

function fail(message) {
  process.stderr.write(`example: ${message}\n`);
  stop(1);
  process.exit(1);
}

function readSeconds([option, value, ...more]) {
  if (option === undefined) return Number.POSITIVE_INFINITY;
  const seconds = Number(value);
  if (option === "--seconds" && more.length === 0 && seconds > 0) return seconds;
  return fail("the only option is --seconds N");
}

function split(place) {
  const colon = place.lastIndexOf(":");
  return { host: place.slice(0, colon), port: Number(place.slice(colon + 1)) };
}

function isFree(place) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(split(place), () => server.close(() => resolve(true)));
  });
}

function listens(place) {
  return new Promise((resolve) => {
    const socket = connect(split(place), () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function run(folder, [command, ...args]) {
  const child = spawn(command, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  child.once("exit", (code) => {
    // One that was told to end by POST /stop ends with 0.
    if (!isStopping && code !== 0) fail(`${args.slice(1).join(" ")} ended with ${code}`);
  });
  started.push(child);
}

async function until(place) {
  const end = Date.now() + READY_MS;
  while (!(await listens(place))) {
    if (Date.now() > end) fail(`nothing listens at ${place} after ${READY_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** `folder`: where the example lies. `places`: every HOST:PORT that will be listened at. `programs`: command lines. `tries`: pairs of a command and what comes of it. */
export async function start({ folder, places, programs, tries }) {
  const seconds = readSeconds(process.argv.slice(2));
  for (const place of places) {
    if (await isFree(place)) continue;
    fail(`${place} is taken, perhaps by another copy of this example; end what listens there`);
  }
  const built = spawnSync(process.execPath, [join(ROOT, "scripts/run.mjs"), "build"], { stdio: ["ignore", "inherit", "inherit"] });
  if (built.status !== 0) process.exit(1);
  process.once("SIGINT", () => stop(0));
  process.once("SIGTERM", () => stop(0));
  for (const program of programs) run(folder, program);
  for (const place of places) await until(place);
  const width = Math.max(...tries.map(([command]) => command.length));
  // A line is a command as it stands: the rest of it is a comment.
  process.stdout.write(`Everything runs. Try:\n${tries.map(([command, what]) => `  ${command.padEnd(width)}   # ${what}\n`).join("")}`);
  // The programs keep this process alive, the timer does not.
  if (Number.isFinite(seconds)) setTimeout(() => stop(0), seconds * 1000).unref();
}
