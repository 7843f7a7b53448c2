// An application that knows nothing of Weft, run in a namespace of its own: HTTP that tells what it was asked, and a server that
// speaks first.
//
//   node unaware-server.ts NAME HTTP_PORT[,HTTP_PORT...] GREETING_PORT
//
// CONNECT is answered, too, as if this were a forward proxy whose tunnel says one thing.

import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";

const [name = "", httpPorts = "", greetingPort = ""] = process.argv.slice(2);

for (const port of httpPorts.split(",")) {
  createHttpServer((request, response) => {
    const body = JSON.stringify({
      name: `${name}:${port}`,
      url: request.url,
      headers: request.headers,
      peer: request.socket.remoteAddress,
      local: request.socket.localAddress,
    });
    response.writeHead(200, { "content-type": "application/json" }).end(`${body}\n`);
  })
    .on("connect", (_request, socket) => {
      socket.on("error", () => {});
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`));
    })
    .listen(Number(port), "::");
}

createServer((socket) => {
  socket.on("error", () => {});
  socket.write(`220 ${name}\r\n`);
  socket.on("data", (chunk: Buffer) => socket.end(`you said ${chunk.toString("latin1")}`));
}).listen(Number(greetingPort), "::", () => process.stdout.write("listening\n"));
