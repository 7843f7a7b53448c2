// `weft check` as the command line describes it: options, help. What it does is check-command.ts, loaded when it is run.

import { type Command, Option } from "commander";
import type { CheckOptions } from "./check-command.ts";

type Finish = (code: number) => void;

/** Adds the command; `finish` hears its exit code. */
export function addCheck(program: Command, finish: Finish): void {
  const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
  program
    .command("check")
    .description("Check a running mesh, or, with --pre, whether one can run here. Each check is explained in docs/checks.md.")
    .option("--pre", "before anything is installed: Node, this host, the kernel, the container engine")
    .addOption(
      new Option("--target <target>", "with --pre: leave out what matters for the other only")
        .choices(["any", "host", "compose"])
        .default("any"),
    )
    .option("--ports <ports>", "with --pre: ports that must be free", "4140,4143,4190,4191,8080,8089")
    .option("--against <host[:port]>", "with --pre: compare the clock with the Date of this HTTP server")
    .option("--admin <host:port>", "the admin port of a proxy; may be repeated", collect)
    .option("--identity-admin <host:port>", "the admin port of the identity component")
    .option("--data <folder>", "the identity component's folder, for when it cannot be asked")
    .option("--project <name>", "a compose project, when there are several with a mesh")
    .option("--proxy", "the data plane only: proxies, their certificates and clocks")
    .option("--expected-version <version>", "a warning when this command has another one")
    .option("--wait <duration>", "how long what is on its way up may take", "5m")
    .addOption(
      new Option("-o, --output <format>", "how to print; short: what is not well").choices(["table", "short", "json"]).default("table"),
    )
    .addOption(new Option("--report <kind>").choices(["proxy", "identity"]).hideHelp())
    .addOption(new Option("--command <json>").hideHelp())
    .addHelpText(
      "after",
      "\nWithout --admin, --identity-admin, --data and --project: the containers with Weft's labels, if an engine answers, else the usual ports of this host (127.0.0.1:4191, 127.0.0.1:8089). With --identity-admin or --data alone: the proxy at 127.0.0.1:4191, too.\nExit codes: 0, also with warnings; 1 when a check failed.",
    )
    .action(async (options: CheckOptions) => {
      const { runCheck } = await import("./check-command.ts");
      finish(await runCheck(options));
    });
}
