// A proxy process whose forwarder is the fake one: for tests of the threads around the data path.
//
// node supervisor-main.ts FOLDER-OR-FILE; prints what the supervisor logs.

import { runProxy } from "../../src/workers/supervisor.ts";

const forwarderModule = new URL("./fake-forwarder.ts", import.meta.url).href;
process.exitCode = await runProxy({ configPath: process.argv[2] ?? null, forwarderModule });
