// `weft install`: prints the control plane, to be given to whoever runs it. For compose it also lays out the folder with the identity component's keys.

import { FileProblem } from "../../control/identity/private-files.ts";
import { DEFAULT_CONTROL_NAMESPACE, isTrustDomain } from "../../core/identity/names.ts";
import { FileTrouble, isSystemTrouble, writeOutput } from "../inject/files.ts";
import { asPath } from "../inject/inject-command.ts";
import { FAILURE } from "../output-format.ts";
import { composeControlPlane } from "./compose.ts";
import { DEFAULT_OIDC_ISSUER, installProblems, kubernetesInstall } from "./kubernetes.ts";
import { componentUser, layOutFolder } from "./weft-folder.ts";

/** As they were given. */
export interface InstallArguments {
  readonly target: "compose" | "kubernetes";
  readonly ha?: true;
  readonly output?: string;
  readonly image: string;
  readonly folder: string;
  readonly trustDomain: string;
  readonly dryRun?: true;
  readonly controlNamespace?: string;
  readonly oidcIssuer?: string;
}

const ONE_COMPONENT =
  "--ha: on one machine there is one identity component, since a second cannot share its folder; it is started again whenever it ends. While it is away, " +
  "proxies go on with the certificates that they have (24 h, renewed at two thirds), and new ones wait";

/** Prints or writes it; resolves to the exit code. */
export async function runInstall(given: InstallArguments): Promise<number> {
  const { target, ha, output, image, folder, trustDomain, dryRun } = given;
  try {
    if (target === "kubernetes") return await installKubernetes(given);
    if (!isTrustDomain(trustDomain))
      throw new FileTrouble(`--trust-domain ${JSON.stringify(trustDomain)}: expected a name like cluster.local`);
    const options = { image, trustDomain, folder: asPath(folder), user: componentUser(), isHighlyAvailable: ha === true };
    const text = composeControlPlane(options);
    if (dryRun !== true) await layOutFolder(folder, trustDomain);
    await writeOutput(output ?? null, text);
    if (ha === true) process.stderr.write(`weft install: ${ONE_COMPONENT}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof FileTrouble) && !(error instanceof FileProblem) && !isSystemTrouble(error)) throw error;
    process.stderr.write(`weft install: ${error.message}\n`);
    return FAILURE;
  }
}

const ONE_WRITER =
  "--ha: there is one identity component, since its store has one writer; it comes back sooner from a node that fails. While it is away, " +
  "proxies go on with the certificates that they have (24 h, renewed at two thirds), and new pods wait";

async function installKubernetes(given: InstallArguments): Promise<number> {
  const { image, trustDomain, controlNamespace = DEFAULT_CONTROL_NAMESPACE, oidcIssuer = DEFAULT_OIDC_ISSUER, ha, output } = given;
  const options = { image, trustDomain, controlNamespace, oidcIssuer, isHighlyAvailable: ha === true };
  const problems = installProblems(options);
  if (problems.length > 0) throw new FileTrouble(problems.join("; "));
  await writeOutput(output ?? null, kubernetesInstall(options));
  if (ha === true) process.stderr.write(`weft install: ${ONE_WRITER}\n`);
  return 0;
}
