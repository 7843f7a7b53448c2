// `weft install` as the command line describes it. What it does is install-command.ts, loaded when it is run.

import { type Command, Option } from "commander";
import type { InstallArguments } from "./install-command.ts";

type Finish = (code: number) => void;

/** Adds the command; `finish` hears its exit code. */
export function addInstall(program: Command, finish: Finish): void {
  program
    .command("install")
    .description("Print the control plane (the identity component) for the engine that runs it.")
    .addOption(new Option("--target <kind>", "what to print").choices(["compose", "kubernetes"]).default("compose"))
    .option("--ha", "for as little absence as there can be")
    .option("-o, --output <file>", "write it there, as a whole, instead of printing it")
    .option("--image <image>", "of Weft", "weft")
    .option("--folder <path>", "Weft's own files on this machine; made if it is new", ".weft")
    .option("--trust-domain <name>", "of the mesh", "cluster.local")
    .option("--control-namespace <name>", "Kubernetes: the namespace that it goes to (weft)")
    .option(
      "--oidc-issuer <url>",
      "Kubernetes: who signs the cluster's service-account tokens (https://kubernetes.default.svc.cluster.local)",
    )
    .option("--dry-run", "change nothing on this machine but the output")
    .addHelpText(
      "after",
      "\n  weft install > weft.yaml && weft inject docker-compose.yml > meshed.yml && docker compose -f weft.yaml -f meshed.yml up",
    )
    .action(async (options: InstallArguments) => {
      const { runInstall } = await import("./install-command.ts");
      finish(await runInstall(options));
    });
}
