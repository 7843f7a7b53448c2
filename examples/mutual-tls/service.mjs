// A service of the example: `backend` answers, `frontend` asks backend through its own sidecar. Plain HTTP, Node alone.

import { createServer, get } from "node:http";

const [name, host] = process.argv.slice(2);

function ask(path) {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.2", port: 4140, path, headers: { host: "backend" } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => {
        text += part;
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

createServer(async (request, response) => {
  if (name === "backend") {
    response.end(`backend: asked for ${request.url} by ${request.headers["l5d-client-id"] ?? "somebody without an identity"}\n`);
    return;
  }
  try {
    response.end(`frontend: ${await ask(request.url)}`);
  } catch (error) {
    response.writeHead(502).end(`frontend: ${error.message}\n`);
  }
}).listen(8080, host);
