// `weft inject` and `weft uninject` as the command line describes them. What they do is inject-command.ts, loaded when it is run.

import type { Command } from "commander";
import type { InjectArguments } from "./inject-command.ts";

type Finish = (code: number) => void;

/** Adds the commands; `finish` hears the exit code. */
export function addInject(program: Command, finish: Finish): void {
  const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
  program
    .command("inject")
    .description("Print a compose file with a sidecar for each of its services; what was done goes to standard error.")
    .argument("<file>", "the file, or - for standard input")
    .option("-o, --output <file>", "write it there, as a whole, instead of printing it")
    .option("-n, --namespace <name>", "of the services' identities", "default")
    .option("--trust-domain <name>", "of the mesh", "cluster.local")
    .option("--image <image>", "of Weft", "weft")
    .option("--folder <path>", "Weft's own files on this machine: the identity component's data, join tokens", ".weft")
    .option("--set <name=value>", "what config.linkerd.io/NAME says, for services without that label", collect)
    .option("--no-tokens", "make no join tokens")
    .option("--dry-run", "the same: change nothing on this machine but the output")
    .addHelpText(
      "after",
      `
Labels of a service: linkerd.io/inject: disabled; config.linkerd.io/opaque-ports, skip-inbound-ports, skip-outbound-ports, skip-subnets,
default-inbound-policy, proxy-log-level, proxy-cpu-limit, proxy-memory-limit and others of Linkerd's.
A file that is injected already stays as it is. weft uninject gives back the original, byte for byte.
  weft install > weft.yaml && weft inject docker-compose.yml > meshed.yml && docker compose -f weft.yaml -f meshed.yml up`,
    )
    .action(async (file: string, options: InjectArguments) => {
      const { runInject } = await import("./inject-command.ts");
      finish(await runInject(file, options));
    });
  program
    .command("uninject")
    .description("Print an injected file as it was before.")
    .argument("<file>", "the file, or - for standard input")
    .option("-o, --output <file>", "write it there, as a whole, instead of printing it")
    .action(async (file: string, { output }: { output?: string }) => {
      const { runUninject } = await import("./inject-command.ts");
      finish(await runUninject(file, output ?? null));
    });
}
