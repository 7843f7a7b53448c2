// The certificate that every proxy and origin of the benchmarks shows, so that handshakes and records cost all of them the same.
//
// ECDSA P-256, for localhost, as the tests have it. Load tools do not check it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

function fixture(name: string): string {
  return fileURLToPath(new URL(`../../test/fixtures/h2/${name}`, import.meta.url));
}

export const CERTIFICATE = { cert: fixture("localhost.crt"), key: fixture("localhost.key") };

/** Both in one file, for programs that want them so. */
export function writeCombinedPem(folder: string): string {
  const path = join(folder, "localhost.pem");
  writeFileSync(path, readFileSync(CERTIFICATE.cert, "utf8") + readFileSync(CERTIFICATE.key, "utf8"));
  return path;
}
