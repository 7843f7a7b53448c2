// Writes the TypeScript of src/api anew from its .proto files: `node scripts/run.mjs proto`. The result is committed, so that a
// build needs no generator; a house test compares it with what the sources give.
//
// buf compiles (its binary comes with the package), protoc-gen-es writes. With `--output FOLDER` it writes there instead.

import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = new URL("..", import.meta.url).pathname;

/** Generates everything below src/api into `folder`; throws with the compiler's own messages. */
export function generateApi(folder: string): void {
  const modules = join(root, "node_modules/@bufbuild");
  const template = {
    version: "v2",
    plugins: [
      {
        local: [process.execPath, join(modules, "protoc-gen-es/bin/protoc-gen-es")],
        out: folder,
        opt: ["target=ts", "import_extension=ts"],
      },
    ],
  };
  const args = [join(modules, "buf/bin/buf"), "generate", "src/api", "--template", JSON.stringify(template)];
  const result = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  if (result.status !== 0) throw new Error(`buf could not generate the code of src/api: ${result.stderr}${result.error?.message ?? ""}`);
}

if (process.argv[1] === new URL(import.meta.url).pathname) generateApi(join(root, "src/api"));
