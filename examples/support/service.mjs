// A service of the examples, which knows nothing of Weft. Plain HTTP, Node alone.
//
//   node service.mjs NAME HOST:PORT [URL]      answers "NAME"; with a URL, "NAME, then what the URL answered"
//   node service.mjs NAME HOST:PORT --tcp      no HTTP: says its name first, then echoes
//
// As most programs it uses the proxy that http_proxy names. POST /stop ends it.

import { createServer, get } from "node:http";
import { createServer as createTcpServer } from "node:net";

const [name, place, next] = process.argv.slice(2);
const colon = place.lastIndexOf(":");
const [host, port] = [place.slice(0, colon), Number(place.slice(colon + 1))];

function ask(url) {
  const proxy = process.env.http_proxy === undefined ? null : new URL(process.env.http_proxy);
  const { host: authority, hostname, port: urlPort, pathname } = new URL(url);
  const target =
    proxy === null
      ? { host: hostname, port: Number(urlPort || 80), path: pathname }
      : { host: proxy.hostname, port: Number(proxy.port), path: url, headers: { host: authority } };
  return new Promise((resolve, reject) => {
    get(target, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => {
        text += part;
      });
      response.on("end", () => resolve(response.statusCode === 200 ? text : `status ${response.statusCode}\n`));
      response.on("error", reject);
    }).on("error", reject);
  });
}

async function answer(request, response) {
  if (request.url === "/stop" && request.method === "POST") {
    response.end(`${name} ends\n`, () => process.exit(0));
    return;
  }
  try {
    response.end(next === undefined ? `${name}\n` : `${name}, then ${await ask(next)}`);
  } catch (error) {
    response.writeHead(502).end(`${name}: ${error.message}\n`);
  }
}

function converse(socket) {
  socket.on("error", () => undefined);
  socket.write(`${name} speaks first\n`);
  socket.pipe(socket);
}

const server = next === "--tcp" ? createTcpServer(converse) : createServer(answer);
server.listen(port, host);
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => process.exit(0));
