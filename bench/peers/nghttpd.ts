// nghttpd, the server of the nghttp2 library, as the origin where proxies and clients both speak HTTP/2: 2 us per request, where nginx
// needs 11. It serves files, also to a POST, once it has read the body. It does not tell how many connections it has accepted.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CERTIFICATE } from "../support/certificate.ts";
import { Child, isListening, startOnFreePorts, temporaryFolder, toolVersion, untilReady } from "../support/child.ts";
import { type Peer, SMALL_BODY_BYTES } from "./peer.ts";

/** More than any round has under way: Envoy would send more than the usual 100 before it hears of them, and answer 503 for them. */
const STREAMS_MAX = 1_000;
/** As long as the uWebSockets.js origin's answer to 1 MB. */
const UPLOAD_ANSWER = "received";

export const NGHTTPD_INSTALL = "apt-get install nghttp2-server";

/** One line; null when it is not installed. */
export function nghttpdVersion(): string | null {
  return toolVersion("nghttpd", "--version");
}

function start(folder: string, isTls: boolean): Promise<Peer> {
  return startOnFreePorts(1, async ([port]) => {
    const [how, files] = isTls ? [[], [CERTIFICATE.key, CERTIFICATE.cert]] : [["--no-tls"], []];
    const child = new Child("nghttpd", "nghttpd", [
      ...how,
      "--address=127.0.0.1",
      "-m",
      String(STREAMS_MAX),
      "-d",
      folder,
      String(port),
      ...files,
    ]);
    await untilReady(child, () => isListening(port!));
    return { name: "nghttpd", port: port!, child, adminPort: null };
  });
}

/** One process speaks either TLS or not: with `tls` there is a second one, for clients without a proxy. */
export async function startNghttpd(tls: boolean): Promise<Peer & { readonly forClients: Peer | null }> {
  const folder = join(temporaryFolder(), "www");
  mkdirSync(folder);
  writeFileSync(join(folder, "index.html"), Buffer.alloc(SMALL_BODY_BYTES, "x"));
  writeFileSync(join(folder, "1m"), Buffer.alloc(1024 * 1024, "x"));
  writeFileSync(join(folder, "upload"), UPLOAD_ANSWER);
  const plain = await start(folder, false);
  return { ...plain, forClients: tls ? await start(folder, true) : null };
}
