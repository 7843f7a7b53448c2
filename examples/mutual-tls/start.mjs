// Starts the example: identity component, two services, two sidecars; asks once through all of it, then waits for Ctrl-C.
//
// node examples/mutual-tls/start.mjs [--seconds N]

import { spawn, spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(dirname(HERE));
const STATE = join(HERE, ".weft");
const READY_MS = 20_000;
const LOOK_MS = 50;

/** Everything that will listen. */
const PLACES = {
  "127.0.0.1": [8080, 8089],
  "127.0.0.2": [4140, 4143, 4191, 8080],
  "127.0.0.3": [4143, 4191, 8080],
};

const started = [];

/** How long to run. */
function readSeconds([option, value, ...more]) {
  if (option === undefined) return Number.POSITIVE_INFINITY;
  const seconds = Number(value);
  if (option === "--seconds" && more.length === 0 && seconds > 0) return seconds;
  process.stderr.write("usage: node examples/mutual-tls/start.mjs [--seconds N]\n");
  process.exit(1);
}

function isFree(host, port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

async function checkPlaces() {
  for (const [host, ports] of Object.entries(PLACES)) {
    for (const port of ports) {
      if (await isFree(host, port)) continue;
      process.stderr.write(`example: ${host}:${port} is taken, perhaps by another copy of this example; end what listens there\n`);
      process.exit(1);
    }
  }
}

function prepare() {
  const built = spawnSync(process.execPath, [join(ROOT, "scripts/run.mjs"), "build"], { stdio: ["ignore", "inherit", "inherit"] });
  if (built.status !== 0) process.exit(1);
  rmSync(STATE, { recursive: true, force: true });
}

const NODE = join(ROOT, "node_modules/.bin/node");
const weft = (...args) => [NODE, [join(ROOT, "bin/weft.mjs"), ...args]];

function run(name, [command, args]) {
  const child = spawn(command, args, { cwd: HERE, stdio: ["ignore", "ignore", "inherit"] });
  child.once("exit", (code) => {
    if (!isStopping) fail(`${name} ended with ${code}`);
  });
  started.push(child);
}

function once([command, args]) {
  const { status } = spawnSync(command, args, { cwd: HERE, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) fail(`${args.slice(1).join(" ")} ended with ${status}`);
}

/** The answer of a GET as { status, text }; null when nobody answers. */
function fetchText(url) {
  return new Promise((resolve) => {
    get(url, { agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode, text }));
    }).on("error", () => resolve(null));
  });
}

async function until(what, url) {
  const end = Date.now() + READY_MS;
  while (Date.now() < end) {
    const answer = await fetchText(url);
    if (answer?.status === 200) return answer.text;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return fail(`${what} was not ready after ${READY_MS / 1000} s (${url})`);
}

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

const seconds = readSeconds(process.argv.slice(2));
await checkPlaces();
prepare();
for (const name of ["frontend", "backend"]) {
  once(
    weft("identity", "token", "create", "--name", name, "--namespace", "shop", "--file", `.weft/${name}.token`, "--data", ".weft/identity"),
  );
}
run("identity-controller", weft("identity-controller", "--data", ".weft/identity"));
run("backend", [process.execPath, ["service.mjs", "backend", "127.0.0.3"]]);
run("frontend", [process.execPath, ["service.mjs", "frontend", "127.0.0.2"]]);
await until("the identity component", "http://127.0.0.1:8089/ready");
run("backend's sidecar", weft("proxy", "--config", "backend.yaml"));
run("frontend's sidecar", weft("proxy", "--config", "frontend.yaml"));
await until("backend's sidecar", "http://127.0.0.3:4191/ready");
await until("frontend's sidecar", "http://127.0.0.2:4191/ready");
process.stdout.write(await until("the whole", "http://127.0.0.2:4143/hello"));
const data = relative(process.cwd(), join(STATE, "identity"));
const cli = `${relative(process.cwd(), NODE)} ${relative(process.cwd(), join(ROOT, "bin/weft.mjs"))}`;
process.stdout.write(`
Everything runs. Try (weft is ${cli}):
  curl http://127.0.0.2:4143/hello                # frontend, which asks backend through both sidecars
  curl -i http://127.0.0.3:4143/hello             # past the mesh: 403, backend wants to know who asks
  weft identity 127.0.0.3:4143 --data ${data}
  weft check --admin 127.0.0.2:4191 --admin 127.0.0.3:4191 --data ${data}
  openssl s_client -connect 127.0.0.3:4143 -servername backend.shop.serviceaccount.identity.weft.cluster.local -CAfile ${join(data, "bundle.pem")} </dev/null
  curl -s http://127.0.0.2:4191/metrics | grep server_id
Keys, tokens and roots are in ${dirname(data)}: it stays there after the end, until the next start.
`);
process.once("SIGINT", () => stop(0));
process.once("SIGTERM", () => stop(0));
if (Number.isFinite(seconds)) setTimeout(() => stop(0), seconds * 1000).unref();
