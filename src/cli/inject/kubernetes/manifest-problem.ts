// What is wrong with a manifest, and where. Thrown, because nothing of a file is printed when a part of it cannot be meshed.

export interface TextPlace {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** The message begins with the file, and the place where there is one. */
export class ManifestProblem extends Error {
  override readonly name = "ManifestProblem";

  constructor(file: string, place: TextPlace | null, message: string) {
    super(place === null ? `${file}: ${message}` : `${file}:${place.line}:${place.column}: ${message}`);
  }
}
