// `weft identity token create`: a join token for a workload, printed or written to a file that only its owner can read.
//
// With the data folder at hand it is made here, also while the component runs; a folder that is new is laid out first, so that tokens can be
// made before the component starts. Without the folder, the component makes it, over its admin port on this machine. What is wrong with the
// order or with the token's place is found before anything is made.

import { checkOrder, openIdentityFolder, requestToken } from "../control/identity/token-maker.ts";
import { FileProblem } from "../control/identity/private-files.ts";
import { checkTokenPlace, writeTokenFile } from "../control/identity/token-files.ts";
import { parseDurationMs } from "../core/util/duration.ts";
import { FAILURE } from "./output-format.ts";

export interface TokenCreateOptions {
  readonly name: string;
  readonly namespace: string;
  readonly file?: string;
  readonly ttl?: string;
  readonly data?: string;
  readonly admin?: string;
  readonly adminSecret?: string;
  readonly trustDomain?: string;
}

/** A printed token is used at once; one in a file by whatever starts later. */
const TTL_ONCE = "1h";
const TTL_FILE = "24h";

/** Resolves to the exit code. */
export async function runTokenCreate(options: TokenCreateOptions): Promise<number> {
  try {
    if (options.file !== undefined) checkTokenPlace(options.file, options.data);
    const token = await createToken(options);
    if (options.file === undefined) process.stdout.write(`${token}\n`);
    else writeTokenFile(options.file, token);
    return 0;
  } catch (error) {
    if (!(error instanceof FileProblem) && !(error instanceof RangeError) && (error as NodeJS.ErrnoException).code === undefined)
      throw error;
    process.stderr.write(`weft identity token create: ${(error as Error).message}\n`);
    return FAILURE;
  }
}

async function createToken({ name, namespace, file, ttl, data, admin, adminSecret, trustDomain }: TokenCreateOptions): Promise<string> {
  const use = file === undefined ? "once" : "file";
  const text = ttl ?? (use === "once" ? TTL_ONCE : TTL_FILE);
  const ttlMs = parseDurationMs(text);
  if (ttlMs === null || ttlMs % 1000 !== 0)
    throw new RangeError(`--ttl: ${JSON.stringify(text)} is no duration in whole seconds; for example 1h`);
  const order = { name, namespace, use, ttlS: ttlMs / 1000 } as const;
  checkOrder(order, trustDomain);
  if (data !== undefined && admin === undefined) return await (await openIdentityFolder(data, trustDomain)).createToken(order);
  if (admin !== undefined && adminSecret !== undefined) return await requestToken(admin, adminSecret, order);
  throw new RangeError(
    "name the identity component's folder with --data, or its admin port with --admin and --admin-secret FILE (admin.secret of that folder)",
  );
}
