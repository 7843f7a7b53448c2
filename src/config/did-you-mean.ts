// The nearest word of a list, for "did you mean": edit distance with neighbouring letters swapped as one edit.

/** Words longer than this are not compared: no name of ours is, and the cost is quadratic. */
const WORD_LENGTH_MAX = 64;
/** Candidates that are looked at; a configuration may have thousands of services. */
const CANDIDATES_MAX = 10_000;

/** Shortest word that may be the beginning of what was meant, or the other way round. */
const PREFIX_LENGTH_MIN = 3;

/** The candidate that was probably meant, `null` when none is near. Ties go to the first. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  if (word.length === 0 || word.length > WORD_LENGTH_MAX) return null;
  const wanted = word.toLowerCase();
  // One edit in four letters, at least one: `wbe` is `web`, `db` is not `s3`.
  let bestDistance = Math.max(1, Math.floor(wanted.length / 4) + (wanted.length > 4 ? 1 : 0)) + 1;
  let best: string | null = null;
  let prefix: string | null = null;
  let looked = 0;
  for (const candidate of candidates) {
    if (++looked > CANDIDATES_MAX) break;
    const lower = candidate.toLowerCase();
    if (prefix === null && Math.min(lower.length, wanted.length) >= PREFIX_LENGTH_MIN && isPrefix(lower, wanted)) prefix = candidate;
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, lower);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best ?? prefix;
}

/** `warn` and `warning`, either way round. */
function isPrefix(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}

/** Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(row[j - 1]! + 1, previous[j]! + 1, previous[j - 1]! + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, beforePrevious[j - 2]! + 1);
      row.push(cost);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length]!;
}
