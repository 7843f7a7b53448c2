// Runs one of the Node proxies in this process, or in several that share the port: `node run.mjs MODULE PORT UPSTREAM WORKERS [JSON]`.
//
// Each module beside this one exports `serve(port, upstream, options)`. With one worker there is no cluster: its master would cost memory.

import cluster from "node:cluster";

const [name, port, upstream, workers, options = "{}"] = process.argv.slice(2);
const count = Number(workers);

if (count > 1 && cluster.isPrimary) {
  for (let i = 0; i < count; i++) cluster.fork();
  cluster.on("exit", () => process.exit(1));
} else {
  const { serve } = await import(`./${name}.mjs`);
  await serve(Number(port), `http://127.0.0.1:${upstream}`, JSON.parse(options));
}
