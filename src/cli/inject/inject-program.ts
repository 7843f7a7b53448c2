// `weft inject` and `weft uninject` as the command line describes them. What they do is inject-command.ts, loaded when it is run.

import { type Command, Option } from "commander";
import type { InjectArguments } from "./inject-command.ts";

type Finish = (code: number) => void;

/** Adds the commands; `finish` hears the exit code. */
export function addInject(program: Command, finish: Finish): void {
  const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
  program
    .command("inject")
    .description("Print a compose file or Kubernetes manifests with sidecars; what was done goes to standard error.")
    .argument("<file>", "the file, a folder of manifests, or - for standard input")
    .option("-o, --output <file>", "write it there, as a whole, instead of printing it")
    .option("-n, --namespace <name>", "of the services' identities", "default")
    .option("--trust-domain <name>", "of the mesh", "cluster.local")
    .option("--image <image>", "of Weft", "weft")
    .option("--folder <path>", "Weft's own files on this machine: the identity component's data, join tokens", ".weft")
    .option("--set <name=value>", "what config.linkerd.io/NAME says, for services without that label", collect)
    .option("--no-tokens", "make no join tokens")
    .option("--dry-run", "the same: change nothing on this machine but the output")
    .addOption(
      new Option("--native-sidecar <yes>", "Kubernetes: sidecars are init containers that stay (1.29 and later)").choices([
        "true",
        "false",
      ]),
    )
    .addOption(
      new Option("--peer-identities <yes>", "Kubernetes: mutual TLS, and nothing else, to meshed services of the same files").choices([
        "true",
        "false",
      ]),
    )
    .addOption(new Option("--ipv6", "Kubernetes: redirect IPv6, too"))
    .addOption(new Option("--identity-trust-anchors-file <pem>", "Kubernetes: the roots, which go into a ConfigMap of each namespace"))
    .addOption(new Option("--control-namespace <name>", "Kubernetes: where the control plane is (weft)"))
    .addOption(new Option("--cluster-domain <name>", "Kubernetes: the cluster's DNS domain (cluster.local)"))
    .addHelpText(
      "after",
      `
Labels of a service: linkerd.io/inject: disabled; config.linkerd.io/opaque-ports, skip-inbound-ports, skip-outbound-ports, skip-subnets,
default-inbound-policy, proxy-log-level, proxy-cpu-limit, proxy-memory-limit and others of Linkerd's.
Annotations of a pod or a namespace say the same in Kubernetes (docs/kubernetes.md).
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
    .argument("<file>", "the file, a folder of manifests, or - for standard input")
    .option("-o, --output <file>", "write it there, as a whole, instead of printing it")
    .action(async (file: string, { output }: { output?: string }) => {
      const { runUninject } = await import("./inject-command.ts");
      finish(await runUninject(file, output ?? null));
    });
}
