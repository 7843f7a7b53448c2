// Bodies that are made piece by piece, so that the thread that also accepts connections is never held for long.

import { pipeline, Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { constants, createGzip } from "node:zlib";

/** Elements of a long array per slice of JSON: 64 endpoints with their pools are some 20 KB. */
const ELEMENTS_PER_SLICE = 64;

/** Lets the event loop turn between the slices of a generator; the generator is ended when nobody reads on. */
export async function* paced(slices: Iterable<string>): AsyncGenerator<string> {
  for (const slice of slices) {
    yield slice;
    await nextTurn();
  }
}

/** Compresses a stream; zlib works on its own threads. Ends its source when nobody reads on. */
export async function* gzipped(text: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  // Level 1: text of this kind shrinks to a tenth at any level, and the fastest one competes least with the workers.
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  // An error of either side destroys the other and surfaces in the loop below.
  pipeline(Readable.from(text), gzip, () => {});
  for await (const chunk of gzip) yield chunk as Uint8Array;
}

/** True when Accept-Encoding mentions gzip with a weight above 0 (RFC 9110 section 12.5.3). */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  if (acceptEncoding === undefined) return false;
  return acceptEncoding.split(",").some((coding) => /^\s*(x-)?gzip\s*(;(?!\s*q=0(\.0*)?\s*$).*)?$/i.test(coding));
}

/** JSON of a plain object, one top-level property at a time, and its arrays some elements at a time. */
export function* jsonSlices(value: object): Generator<string, void, void> {
  let text = "{";
  let isFirst = true;
  for (const [name, property] of Object.entries(value)) {
    if (property === undefined) continue;
    text += `${isFirst ? "" : ","}${JSON.stringify(name)}:`;
    isFirst = false;
    if (!Array.isArray(property)) {
      text += JSON.stringify(property) ?? "null";
      yield text;
      text = "";
      continue;
    }
    text += "[";
    for (let from = 0; from < property.length; from += ELEMENTS_PER_SLICE) {
      const slice = JSON.stringify(property.slice(from, from + ELEMENTS_PER_SLICE));
      yield `${text}${from === 0 ? "" : ","}${slice.slice(1, -1)}`;
      text = "";
    }
    text += "]";
  }
  yield `${text}}\n`;
}
