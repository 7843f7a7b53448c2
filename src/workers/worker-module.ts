// Where a module that another thread loads lies: beside this one, with the ending that is being run (.ts from the sources,
// .js from dist). `tsc` rewrites the endings of imports, but not of strings.

const ENDING = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

/** File URL of a module in this folder, named without its ending. */
export function siblingModule(name: string): string {
  return new URL(`./${name}${ENDING}`, import.meta.url).href;
}
