// What is wrong with a manifest, and where. Thrown, because nothing of a file is printed when a part of it cannot be meshed.

import { formatProblem } from "../../../config/problem.ts";
import type { Problem } from "../../../config/problem.ts";

export class ManifestProblem extends Error {
  override readonly name = "ManifestProblem";
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(formatProblem(problem));
    this.problem = problem;
  }
}

/** An error in a file; lines and columns from 1, without them the file as a whole. */
export function manifestError(file: string, message: string, hint: string | null = null, line = 0, column = 0): ManifestProblem {
  return new ManifestProblem({ file, line, column, severity: "error", message, hint });
}
