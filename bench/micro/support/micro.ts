// How a micro benchmark is written: named cases in groups, measured by mitata, or run for a moment to see that they still work.
//
// Every case answers with what it made, and says what that has to be: it is looked at once before anything is timed, because a case
// that has come to measure an error path would look splendidly fast. `--moment` runs each case a few times and times nothing.

import { bench, do_not_optimize, run, summary } from "mitata";

/** Calls per case with `--moment`: past a first call that only fills caches. */
const MOMENT_CALLS = 64;

export interface MicroCase {
  readonly name: string;
  /** The work; its answer is kept from the optimiser. */
  readonly work: () => unknown;
  /** True for an answer that shows that the work was done. */
  readonly isRight: (answer: unknown) => boolean;
}

/**
 * Calls the work and keeps its answer. Made anew from text for each case: closures of one source share what the compiler learns of
 * them, so that every case would pay for the calls of all the others.
 */
function keeping(work: () => unknown): () => void {
  return new Function("work", "keep", "return () => { keep(work()); }")(work, do_not_optimize) as () => void;
}

/** Runs groups of cases; within a group the fastest is the measure of the others. Throws when a case answers wrongly. */
export async function runMicro(groups: readonly (readonly MicroCase[])[], args: readonly string[] = process.argv.slice(2)): Promise<void> {
  const isMoment = args.includes("--moment");
  for (const group of groups) {
    for (const one of group) {
      for (let call = 0; call < (isMoment ? MOMENT_CALLS : 1); call++) {
        const answer = one.work();
        if (!one.isRight(answer)) throw new Error(`'${one.name}' answers ${String(answer)}: it no longer measures what it says`);
      }
      if (isMoment) process.stdout.write(`ok  ${one.name}\n`);
    }
    if (isMoment) continue;
    summary(() => {
      for (const one of group) bench(one.name, keeping(one.work));
    });
  }
  if (!isMoment) await run({ throw: true, colors: process.stdout.isTTY === true });
}
