// The shop's front end, on port 8080: asks `web` over HTTP/1.1 and HTTP/2, counts visits in `cache` (Redis). Plain Node; knows nothing
// of a mesh: it names others as their containers are named.
//
//   /          all three at once       /offer     web over HTTP/1.1       /stock     web over HTTP/2
//   /visits    Redis                   /slow?ms=N web, which takes its time
//
// At SIGTERM it takes no new connections, gives every request that it has its answer, and ends.

import { Agent, createServer, request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";

const agent = new Agent({ keepAlive: true });
const ANSWER_MS_MAX = 35_000;

function text(stream) {
  return new Promise((resolve, reject) => {
    let whole = "";
    stream.setEncoding("utf8");
    stream.on("data", (part) => {
      whole += part;
    });
    stream.on("end", () => resolve(whole));
    stream.on("error", reject);
  });
}

function checked(status, body) {
  if (status !== 200) throw new Error(`web answered ${status}`);
  return JSON.parse(body);
}

/** Once more on a new connection, when the old one had been closed in the meantime: what every client of keep-alive does. */
async function offer(path, isAgain = false) {
  const request = httpRequest({ host: "web", port: 8080, path, agent, timeout: ANSWER_MS_MAX });
  const answered = new Promise((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
  });
  request.on("timeout", () => request.destroy(new Error("web takes too long")));
  request.end();
  try {
    const response = await answered;
    return checked(response.statusCode, await text(response));
  } catch (error) {
    if (request.reusedSocket && error.code === "ECONNRESET" && !isAgain) return await offer(path, true);
    throw error;
  }
}

let session = null;
async function stock() {
  if (session === null || session.closed || session.destroyed) {
    session = connectHttp2("http://web:8081");
    session.on("error", () => {});
  }
  const stream = session.request({ ":path": "/stock" });
  stream.setTimeout(ANSWER_MS_MAX, () => stream.close());
  const status = new Promise((resolve) => stream.on("response", (headers) => resolve(headers[":status"])));
  const body = await text(stream);
  return checked(await status, body);
}

/** One connection to Redis; commands are answered in order. A lost one is made anew with the next command. */
let redis = null;
function command(line) {
  redis ??= connectRedis();
  const { socket, waiting } = redis;
  return new Promise((resolve, reject) => {
    waiting.push({ resolve, reject });
    socket.write(`${line}\r\n`);
  });
}

function connectRedis() {
  const socket = connect(6379, "cache");
  const waiting = [];
  let rest = "";
  const fail = (error) => {
    if (redis?.socket === socket) redis = null;
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  socket.setTimeout(ANSWER_MS_MAX);
  socket.on("timeout", () => socket.destroy(new Error("Redis takes too long")));
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the connection to Redis was lost")));
  socket.on("data", (chunk) => {
    const lines = (rest + chunk.toString("latin1")).split("\r\n");
    rest = lines.pop();
    for (const line of lines) {
      const { resolve, reject } = waiting.shift();
      if (line.startsWith(":")) resolve(Number(line.slice(1)));
      else reject(new Error(`Redis says ${line}`));
    }
  });
  return { socket, waiting };
}

const PAGES = {
  "/": async () => {
    const [first, second, visits] = await Promise.all([offer("/offer"), stock(), command("INCR visits-in-plain-text")]);
    return { offer: first, stock: second, visits };
  },
  "/offer": async () => ({ offer: await offer("/offer") }),
  "/slow": async (url) => ({ offer: await offer(`/slow?ms=${Number(url.searchParams.get("ms"))}`) }),
  "/stock": async () => ({ stock: await stock() }),
  "/visits": async () => ({ visits: await command("INCR visits-in-plain-text") }),
};

let isStopping = false;

/** While it stops, each answer ends its connection: one that is always busy would else never end. */
function answer(response, status, type, body) {
  if (isStopping) response.setHeader("connection", "close");
  response.writeHead(status, { "content-type": type }).end(`${body}\n`);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://frontend");
  const page = PAGES[url.pathname];
  if (page === undefined) {
    answer(response, 404, "text/plain", "there are /, /offer, /stock, /visits and /slow?ms=N");
    return;
  }
  try {
    const body = await page(url);
    answer(response, 200, "application/json", JSON.stringify(body));
  } catch (error) {
    answer(response, 502, "text/plain", error.message);
  }
}).listen(8080);

process.once("SIGTERM", () => {
  isStopping = true;
  server.close(() => {
    redis?.socket.destroy();
    session?.close();
    agent.destroy();
  });
});
