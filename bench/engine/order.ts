// In which order subjects run in a round. Pure.
//
// Every round runs every subject once, forwards in odd rounds and backwards in even ones (A B C, C B A, ...): whatever drifts with time
// hits both ends alike, and neighbours in time are what ratios are made of.

/** The subjects of round 1, 2, ...; the list itself is not changed. */
export function orderOfRound<T>(subjects: readonly T[], round: number): T[] {
  return round % 2 === 0 ? [...subjects].reverse() : [...subjects];
}
