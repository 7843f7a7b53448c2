// Calls of the identity component's admin port that change something, from a command on the same machine.

import { request } from "node:http";
import { ADMIN_SECRET } from "./data-folder.ts";
import { FileProblem, readPrivateFile } from "./private-files.ts";

/** The component answers from memory; a port that accepts and says nothing is not its. */
const ANSWER_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * Posts `body` to `path` of the admin port `HOST:PORT`, with the secret of the file (admin.secret of the data folder). Resolves to the answer's
 * text. Rejects with a RangeError that repeats a refusal, a FileProblem about the secret, or Node's error.
 */
export async function askAdmin(admin: string, secretFile: string, path: string, body: string): Promise<string> {
  const secret = readSecret(secretFile);
  const headers = { authorization: `Bearer ${secret}`, "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const answer = await new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    const call = request(
      new URL(`http://${admin}${path}`),
      { method: "POST", headers, signal: AbortSignal.timeout(ANSWER_MS) },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > ANSWER_BYTES_MAX) response.destroy(new RangeError(`${admin} is no identity component: its answer has no end`));
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.on("error", reject);
      },
    );
    call.on("error", (error) => reject(asProblem(error, admin)));
    call.end(body);
  });
  if (answer.status !== 200) throw new RangeError(`${admin} answered ${answer.status}: ${answer.text.trim()}`);
  return answer.text;
}

function readSecret(file: string): string {
  try {
    return readPrivateFile(file).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    if (ADMIN_SECRET.test(file))
      throw new FileProblem("--admin-secret is the path of a file; this looks like the secret itself: name the file that has it");
    throw new FileProblem(`${file} is not there: the identity component makes it in its folder when it starts`);
  }
}

/** Nobody listens: whoever reads it may not know what that port is. */
function asProblem(error: Error, admin: string): Error {
  if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED") return error;
  return new RangeError(
    `nobody listens at ${admin} (ECONNREFUSED), where the identity component's admin port should be: start the component (weft identity-controller), or name its admin port with --admin HOST:PORT`,
  );
}
