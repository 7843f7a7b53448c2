// Services that keep a connection as long as their client does, run in a namespace of their own: HTTP, and bytes that come back.
//
//   node keeping-server.ts HTTP_PORT[,HTTP_PORT...] ECHO_PORT[,ECHO_PORT...]
//
// The head of an answer is sent when the request's is there, its end when the request has ended.

import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";

const [httpPorts = "", echoPorts = ""] = process.argv.slice(2);

for (const port of httpPorts.split(",")) {
  createHttpServer((request, response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    response.flushHeaders();
    request.on("end", () => response.end("here\n"));
    request.resume();
  }).listen(Number(port), "::");
}

const ports = echoPorts.split(",");
let listening = 0;
for (const port of ports) {
  createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  }).listen(Number(port), "::", () => {
    listening++;
    if (listening === ports.length) process.stdout.write("listening\n");
  });
}
