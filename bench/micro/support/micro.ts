// How a micro benchmark is written: named cases in groups, measured by mitata, or run for a moment to see that they still work.
//
// Every case answers with what it made, and says what that has to be: it is looked at once before anything is timed, because a case
// that has come to measure an error path would look splendidly fast. `--moment` runs each case a few times and times nothing.

import { bench as mitataBench, do_not_optimize, run as mitataRun, summary as mitataSummary } from "mitata";

/** Calls per case with `--moment`. */
const MOMENT_CALLS = 64;
/** Calls whose answers are looked at before anything is timed: past a first one that only fills caches. */
const CHECKED_CALLS = 8;

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

const isMoment = process.argv.includes("--moment");

/** mitata's, with `--moment` a few calls instead. For cases that check themselves. */
export function bench(name: string, work: () => unknown): void {
  if (!isMoment) {
    mitataBench(name, work);
    return;
  }
  for (let call = 0; call < MOMENT_CALLS; call++) work();
  process.stdout.write(`ok  ${name}\n`);
}

/** mitata's: the fastest of the cases that `add` adds is the measure of the others. */
export function summary(add: () => void): void {
  if (isMoment) add();
  else mitataSummary(add);
}

/** Measures all cases that were added. */
export async function run(): Promise<void> {
  if (!isMoment) await mitataRun({ throw: true, colors: process.stdout.isTTY === true });
}

/** Runs groups of cases; within a group the fastest is the measure of the others. Throws when a case answers wrongly. */
export async function runMicro(groups: readonly (readonly MicroCase[])[]): Promise<void> {
  for (const group of groups) {
    summary(() => {
      for (const one of group) {
        for (let call = 0; call < CHECKED_CALLS; call++) check(one);
        bench(one.name, keeping(one.work));
      }
    });
  }
  await run();
}

/** Throws when the case answers wrongly. */
export function check(one: MicroCase): void {
  const answer = one.work();
  if (!one.isRight(answer)) throw new Error(`'${one.name}' answers ${String(answer)}: it no longer measures what it says`);
}
