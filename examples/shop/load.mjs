// A steady load for the shop: so many requests per second, one line per second. Plain Node.
//
//   node load.mjs URL REQUESTS_PER_SECOND

import { Agent, get } from "node:http";

const [url = "http://frontend:8080/", rateText = "50"] = process.argv.slice(2);
const rate = Number(rateText);
if (!(rate > 0 && rate <= 1000)) {
  process.stderr.write("usage: node load.mjs URL REQUESTS_PER_SECOND (at most 1000)\n");
  process.exit(1);
}
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
let times = [];
let failures = new Map();

function failed(why) {
  failures.set(why, (failures.get(why) ?? 0) + 1);
}

function ask() {
  const began = performance.now();
  const request = get(url, { agent, timeout: 10_000 }, (response) => {
    response.resume();
    response.on("end", () => {
      if (response.statusCode === 200) times.push(performance.now() - began);
      else failed(`status ${response.statusCode}`);
    });
  });
  request.on("timeout", () => request.destroy(new Error("no answer within 10 s")));
  request.on("error", (error) => failed(error.code ?? error.message));
}

function at(share) {
  return (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(1);
}

setInterval(ask, 1000 / rate);
setInterval(() => {
  times.sort((a, b) => a - b);
  const failing = [...failures].map(([why, count]) => `${count} x ${why}`).join(", ");
  process.stdout.write(`${times.length} answers/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms${failing === "" ? "" : `, FAILED: ${failing}`}\n`);
  times = [];
  failures = new Map();
}, 1000);
process.once("SIGTERM", () => process.exit(0));
process.once("SIGINT", () => process.exit(0));
