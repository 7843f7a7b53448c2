// The commands that look into a running mesh, as the command line library sees them: `weft diagnostics proxy-identity`.

import type { Command } from "commander";
import type { ProxyIdentityOptions } from "./diagnostics-identity-command.ts";
import { outputOption } from "./output-option.ts";

export function addDiagnostics(program: Command, finish: (code: number) => void): void {
  const diagnostics = program.command("diagnostics").alias("dg").description("Look into a running mesh.");
  const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
  diagnostics
    .command("proxy-identity")
    .description("What running proxies say of their identity: certificate, renewal, roots, last failure.")
    .option("--admin <host:port>", "a proxy's admin port; may be given several times (127.0.0.1:4191)", collect)
    .addOption(outputOption())
    .action(async (options: ProxyIdentityOptions) => {
      const { runProxyIdentity } = await import("./diagnostics-identity-command.ts");
      finish(await runProxyIdentity(options));
    });
}
