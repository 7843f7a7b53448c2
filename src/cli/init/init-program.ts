// `weft init` as the command line describes it: options, help. What it does is init-command.ts, loaded when it is run.

import { type Command, Option } from "commander";
import type { InitOptions } from "./init-command.ts";

type Finish = (code: number) => void;

/** Adds the command; `finish` hears its exit code. */
export function addInit(program: Command, finish: Finish): void {
  program
    .command("init")
    .description("Redirect this network namespace's TCP connections to its proxy (iptables), for transparent listeners.")
    .option("--incoming-proxy-port <port>", "where the proxy takes connections from elsewhere; off: leave them alone", "4143")
    .option("--outgoing-proxy-port <port>", "where it takes those of this host; off: leave them alone", "4140")
    .option("--proxy-uid <uid>", "the user as whom the proxy runs: its own connections pass", "2102")
    .option("--inbound-ports-to-ignore <ports>", "ports and ranges that pass, beside 4190-4191", "4567,4568")
    .option("--outbound-ports-to-ignore <ports>", "ports and ranges that pass, beside 53 (DNS)", "4567,4568")
    .option("--subnets-to-ignore <networks>", "destinations that pass, beside loopback", "")
    .addOption(new Option("--ip-family <family>", "auto: IPv6, too, where there is any").choices(["auto", "ipv4", "both"]).default("auto"))
    .addOption(
      new Option("--iptables-mode <mode>", "which iptables; auto: where rules are, else the newer")
        .choices(["auto", "nft", "legacy", "plain"])
        .default("auto"),
    )
    .option("--dry-run", "print what would be written; needs no privileges")
    .option("--remove", "take the rules away")
    .option("--hold", "then become the proxy's user and hold the network namespace, as weft hold does")
    .addHelpText(
      "after",
      "\nRun it before the applications start, with CAP_NET_ADMIN. Running it again replaces its rules.\nOn a host of your own every new TCP connection goes through the proxy from then on: ignore the ports that you log in by.",
    )
    .action(async (options: InitOptions) => {
      const { runInit } = await import("./init-command.ts");
      finish(await runInit(options));
    });
}
