// The commands around identity, as the command line library sees them: `weft identity-controller`, `weft identity [HOST:PORT ...]`,
// `weft identity rotate`, `weft identity recover`, `weft identity token create`.

import type { Command } from "commander";
import type { IdentityControllerOptions } from "./identity-controller-command.ts";
import type { RecoverOptions } from "./identity-recover-command.ts";
import type { RotateOptions } from "./identity-rotate-command.ts";
import type { IdentityShowOptions } from "./identity-show-command.ts";
import type { TokenCreateOptions } from "./identity-token-command.ts";
import { outputOption } from "./output-option.ts";

type Finish = (code: number) => void;

export function addIdentityController(program: Command, finish: Finish): void {
  program
    .command("identity-controller")
    .description("Run the identity component: it certifies the mesh's proxies, and rotates what they trust.")
    .option("--data <folder>", "keys and state; made on first start, readable by nobody else")
    .option("--listen <host:port>", "gRPC, where proxies connect", "127.0.0.1:8080")
    .option("--admin <host:port>", "metrics, readiness, rotation by hand; off: none", "127.0.0.1:8089")
    .option("--trust-domain <name>", "of the mesh; decided on first start (cluster.local)")
    .option("--control-namespace <name>", "where the control plane lives; decided on first start (weft)")
    .option("--leaf-lifetime <duration>", "of proxies' certificates", "24h")
    .option("--issuer-lifetime <duration>", "of the issuer, which is renewed by itself", "30d")
    .option("--root-lifetime <duration>", "of the root, which is renewed by itself", "365d")
    .option("--propagation <duration>", "a new root is distributed so long before it signs", "24h")
    .option("--clock-skew <duration>", "clocks may differ by so much", "20s")
    .option("--roots <file>", "an issuer from outside: the roots to trust, PEM")
    .option("--issuer-cert <file>", "an issuer from outside: its certificate and chain, PEM")
    .option("--issuer-key <file>", "an issuer from outside: its key, PEM")
    .option("--oidc-issuer <url>", "believe service-account tokens of this issuer")
    .option("--oidc-jwks <url|file>", "where its keys are")
    .option("--oidc-jwks-token <file>", "a token to show there, read at each fetch")
    .option("--oidc-audience <name>", "the audience that those tokens must have (identity.weft.dev)")
    .option("--log-level <level>", "debug, info, warn, error or silent", "info")
    .action(async (options: IdentityControllerOptions) => {
      const { runIdentityController } = await import("./identity-controller-command.ts");
      finish(await runIdentityController(options));
    });
}

export function addIdentity(program: Command, finish: Finish): void {
  const identity = program
    .command("identity")
    .description("Show the certificates of proxies by dialling them; and the commands around identities of the mesh.")
    .argument("[address...]", "mesh ports of proxies, HOST:PORT (127.0.0.1:4143)")
    .option("--name <identity>", "who is asked for, and must be there; else the proxy's admin port tells")
    .option("--admin <host:port>", "that admin port (port 4191 of the same host)")
    .option("--trust <file>", "verify against these roots, PEM; exit code 1 if that fails")
    .option("--data <folder>", "the same with the bundle of the identity component's folder")
    .option("--pem", "print the chain as PEM")
    .addOption(outputOption())
    .action(async (addresses: string[], options: IdentityShowOptions) => {
      const { runIdentityShow } = await import("./identity-show-command.ts");
      finish(await runIdentityShow(addresses, options));
    });
  addRotate(identity, finish);
  addRecover(identity, finish);
  addToken(identity, finish);
}

function addRotate(identity: Command, finish: Finish): void {
  identity
    .command("rotate")
    .description("Replace the issuer at once; or begin to replace the root, which signs when the propagation delay is over.")
    .option("--root", "the root, not the issuer")
    .option("--admin <host:port>", "the identity component's admin port", "127.0.0.1:8089")
    .option("--data <folder>", "the identity component's folder, for its secret")
    .option("--admin-secret <file>", "admin.secret of that folder, instead")
    .action(async (options: RotateOptions) => {
      const { runRotate } = await import("./identity-rotate-command.ts");
      finish(await runRotate(options));
    });
}

function addRecover(identity: Command, finish: Finish): void {
  const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
  identity
    .command("recover")
    .description("Repair a mesh in which everything has expired: root, issuer, tokens. No certificate has to be valid for it.")
    .requiredOption("--data <folder>", "the identity component's folder; best while it does not run")
    .option("--tokens <folder>", "renew the token files in it, in place; may be given several times", collect)
    .option(
      "--workload <namespace/name>",
      "this workload gets a token file in that folder, whatever is there; may be given several times",
      collect,
    )
    .option("--ttl <duration>", "how long new tokens are good (as long as the ones before; else 24h)")
    .option("--root-lifetime <duration>", "of a new root (as long as the one before)")
    .option("--issuer-lifetime <duration>", "of a new issuer (as long as the one before)")
    .option("--roots <file>", "an authority from outside: its roots, PEM, for the tokens to pin")
    .option("--dry-run", "say what would be done")
    .addOption(outputOption())
    .action(async (options: RecoverOptions) => {
      const { runRecover } = await import("./identity-recover-command.ts");
      finish(await runRecover(options));
    });
}

function addToken(identity: Command, finish: Finish): void {
  const token = identity.command("token").description("Join tokens: what proves a workload to the identity component.");
  token
    .command("create")
    .description("Make a join token. Printed, it is good for one first certificate; in a file, for every replica until it expires.")
    .requiredOption("--name <name>", "the workload")
    .requiredOption("--namespace <namespace>", "the workload's namespace")
    .option("--file <path>", "write it there, readable by its owner only, instead of printing it")
    .option("--ttl <duration>", "how long it is good (printed: 1h, at most 24h; in a file: 24h)")
    .option("--data <folder>", "the identity component's folder; laid out if it is new")
    .option("--trust-domain <name>", "of a folder that is new (cluster.local)")
    .option("--admin <host:port>", "the identity component's admin port, instead of its folder")
    .option("--admin-secret <file>", "admin.secret of that component's folder")
    .action(async (options: TokenCreateOptions) => {
      const { runTokenCreate } = await import("./identity-token-command.ts");
      finish(await runTokenCreate(options));
    });
}
