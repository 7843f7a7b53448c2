// `weft install`: prints the control plane, to be given to the engine that runs it. For compose it also lays out the folder with the identity component's keys.

import { FileProblem } from "../../control/identity/private-files.ts";
import { isTrustDomain } from "../../core/identity/names.ts";
import { FileTrouble, writeOutput } from "../inject/files.ts";
import { asPath } from "../inject/inject-command.ts";
import { FAILURE } from "../output-format.ts";
import { composeControlPlane } from "./compose.ts";
import { componentUser, layOutFolder } from "./weft-folder.ts";

/** As they were given. */
export interface InstallArguments {
  readonly target: "compose";
  readonly ha?: true;
  readonly output?: string;
  readonly image: string;
  readonly folder: string;
  readonly trustDomain: string;
  readonly dryRun?: true;
}

const ONE_COMPONENT =
  "--ha: on one machine there is one identity component, since a second cannot share its folder; it is started again whenever it ends. While it is away, " +
  "proxies go on with the certificates that they have (24 h, renewed at two thirds), and new ones wait";

/** Prints or writes it; resolves to the exit code. */
export async function runInstall({ ha, output, image, folder, trustDomain, dryRun }: InstallArguments): Promise<number> {
  try {
    if (!isTrustDomain(trustDomain))
      throw new FileTrouble(`--trust-domain ${JSON.stringify(trustDomain)}: expected a name like cluster.local`);
    const options = { image, trustDomain, folder: asPath(folder), user: componentUser(), isHighlyAvailable: ha === true };
    const text = composeControlPlane(options);
    if (dryRun !== true) await layOutFolder(folder, trustDomain);
    writeOutput(output ?? null, text);
    if (ha === true) process.stderr.write(`weft install: ${ONE_COMPONENT}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof FileTrouble) && !(error instanceof FileProblem)) throw error;
    process.stderr.write(`weft install: ${error.message}\n`);
    return FAILURE;
  }
}
