// A TCP relay that holds every piece of a request back for some milliseconds: `node bench/budget/delay-relay.ts PORT TO_PORT MS`.
//
// It makes a proxy slow on purpose, to show that the budget notices: WEFT_BENCH_DELAY_MS puts it before the measured proxy. Nothing
// in the product knows of it. Answers pass at once. Timers of the same length fire in the order in which they were set, so bytes
// stay in order.

import { connect, createServer } from "node:net";

/** As many as the generator may open. */
const CONNECTIONS_MAX = 1_000;

const [port, upstreamPort, delayMs] = process.argv.slice(2).map(Number) as [number, number, number];
if (![port, upstreamPort, delayMs].every((value) => Number.isInteger(value) && value > 0)) {
  process.stderr.write("usage: node bench/budget/delay-relay.ts PORT TO_PORT MS\n");
  process.exit(1);
}

const server = createServer({ noDelay: true, allowHalfOpen: true }, (downstream) => {
  const upstream = connect({ port: upstreamPort, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  for (const [socket, other] of [
    [downstream, upstream],
    [upstream, downstream],
  ] as const) {
    socket.on("error", () => other.destroy());
    socket.on("close", () => other.destroy());
  }
  downstream.on("data", (bytes) => setTimeout(() => upstream.write(bytes), delayMs));
  downstream.on("end", () => setTimeout(() => upstream.end(), delayMs));
  upstream.pipe(downstream);
});
server.maxConnections = CONNECTIONS_MAX;
server.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
server.listen(port, "127.0.0.1");
