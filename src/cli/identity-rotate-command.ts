// `weft identity rotate [--root]`: a new issuer at once, or a new root, which takes over when the propagation delay is over.

import { join } from "node:path";
import { askAdmin } from "../control/identity/admin-client.ts";
import { FileProblem } from "../control/identity/private-files.ts";
import { FAILURE } from "./output-format.ts";

export interface RotateOptions {
  readonly root?: boolean;
  readonly admin: string;
  readonly data?: string;
  readonly adminSecret?: string;
}

/** Prints what was begun. Resolves to the exit code. */
export async function runRotate({ root = false, admin, data, adminSecret }: RotateOptions): Promise<number> {
  const secret = adminSecret ?? (data === undefined ? null : join(data, "admin.secret"));
  if (secret === null) {
    process.stderr.write(
      "weft identity rotate: name the identity component's folder with --data, or its secret with --admin-secret FILE\n",
    );
    return FAILURE;
  }
  try {
    process.stdout.write(await askAdmin(admin, secret, `/identity/rotate?what=${root ? "root" : "issuer"}`, ""));
    return 0;
  } catch (error) {
    if (!(error instanceof FileProblem) && !(error instanceof RangeError) && (error as NodeJS.ErrnoException).code === undefined)
      throw error;
    process.stderr.write(`weft identity rotate: ${(error as Error).message}\n`);
    return FAILURE;
  }
}
