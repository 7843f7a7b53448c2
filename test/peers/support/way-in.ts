// A way into the namespace that it runs in, for a test outside of it: a Unix socket is found by its path, whichever network one is in.
//
//   node way-in.ts PATH
//
// A connection to PATH says in its first line where to (`HOST PORT`); what follows is a TCP connection from here to there, byte for byte.

import { connect, createServer, type Socket } from "node:net";

const [path = ""] = process.argv.slice(2);

createServer({ allowHalfOpen: true }, (inner) => {
  inner.on("error", () => {});
  inner.once("data", (first: Buffer) => {
    const at = first.indexOf("\n");
    const [host = "", port = ""] = first.toString("latin1", 0, at).split(" ");
    const outer = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
    outer.on("error", () => {});
    inner.unshift(first.subarray(at + 1));
    join(inner, outer);
    join(outer, inner);
  });
}).listen(path, () => process.stdout.write("listening\n"));

function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on("close", () => to.destroy());
}
