// What stands in for the applications and databases of compose files in the tests, in images that have their names: it listens where LISTENS says, as
// `http:80 bytes:5432 udp:53`, and says what it sees of who asks. Words behind `serve` are a command for the real image; they count for nothing.
//
//   service.ts serve [ANYTHING]    HTTP answers with what was asked and by whom; /ask/URL asks another service and answers with what that says.
//                                  Bytes: it greets before it is asked, and repeats what it hears. UDP: it repeats.
//   service.ts ask URL             prints what http:, bytes:, redis: or udp://HOST:PORT says; the exit code is 1 when it does not

import { createSocket } from "node:dgram";
import { createServer as createHttpServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, createServer } from "node:net";

/** The name of the image that this is taken for. */
const IMAGE = process.env.STAND_IN ?? "nobody";
/** Of one question: longer than a sidecar takes for its first connection on a busy machine. */
const ANSWER_MS_MAX = 20_000;

/** What is said to servers of bytes, and how an answer that is whole ends. */
const TALKS: Readonly<Record<string, readonly [string, RegExp]>> = {
  "bytes:": ["WHO\n", /HEARD WHO\n$/],
  "redis:": ["PING\r\n", /\r\n$/],
};

function ask(address: string): Promise<string> {
  const url = new URL(address);
  if (url.protocol === "http:") return askHttp(url);
  return url.protocol === "udp:" ? askUdp(url) : askBytes(url);
}

function askHttp(url: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("error", reject);
      response.on("end", () =>
        response.statusCode === 200 ? resolve(text) : reject(new Error(`${url} said ${response.statusCode} ${text}`)),
      );
    });
    request.on("error", reject);
  });
}

function askBytes(url: URL): Promise<string> {
  const [question, ending] = TALKS[url.protocol]!;
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(Number(url.port), url.hostname, () => socket.write(question));
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error(`${url} said only ${JSON.stringify(text)}`)));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`${url} closed after ${JSON.stringify(text)}`)));
    socket.on("data", (bytes) => {
      text += bytes.toString();
      if (!ending.test(text)) return;
      resolve(text);
      socket.destroy();
    });
  });
}

function askUdp(url: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    const timer = setTimeout(() => reject(new Error(`${url} said nothing`)), ANSWER_MS_MAX);
    socket.on("error", reject);
    socket.on("message", (bytes) => {
      clearTimeout(timer);
      socket.close();
      resolve(bytes.toString());
    });
    socket.send("WHO", Number(url.port), url.hostname);
  });
}

function answer(request: IncomingMessage, response: ServerResponse, port: number): void {
  const { url: path = "", headers } = request;
  const seen = { image: IMAGE, port, path, client: headers["l5d-client-id"] ?? null };
  const address = /^\/ask\/(.+)$/.exec(path)?.[1];
  if (address === undefined) {
    response.end(JSON.stringify(seen));
    return;
  }
  const said = (text: string): void => {
    response.end(JSON.stringify({ ...seen, said: text.startsWith("{") ? (JSON.parse(text) as unknown) : text }));
  };
  Promise.resolve()
    .then(() => ask(address))
    .then(said, (error: Error) => response.writeHead(502).end(`${IMAGE}: ${error.message}`));
}

function serve(): void {
  for (const listens of (process.env.LISTENS ?? "").split(" ").filter((text) => text !== "")) {
    const [kind, port] = listens.split(":") as [string, string];
    if (kind === "http") createHttpServer((request, response) => answer(request, response, Number(port))).listen(Number(port));
    else if (kind === "udp") {
      const socket = createSocket("udp4");
      socket.on("message", (bytes, { address, port: from }) => socket.send(`${IMAGE} HEARD ${bytes}`, from, address)).bind(Number(port));
    } else {
      createServer((socket) => {
        socket.on("error", () => undefined);
        socket.on("data", (bytes) => socket.write(`HEARD ${bytes}`));
        socket.write(`HELLO ${IMAGE}\n`);
      }).listen(Number(port));
    }
  }
  // Some listen to nothing and only stay. The first process of a container gets no signal that it does not ask for.
  setInterval(() => undefined, 2 ** 30);
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
}

const [, , command, address = ""] = process.argv;
if (command === "serve") serve();
else {
  try {
    console.log(await ask(address));
    process.exit(0);
  } catch (error) {
    console.error(String(error));
    process.exit(1);
  }
}
