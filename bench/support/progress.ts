// How far a run is and how long it will still take: a bar on a terminal, a line now and then elsewhere. Goes to stderr: stdout is the report.
//
// The remaining time is the estimate of what is left, corrected by how the estimate of what is done compares with the clock.

const BAR_CELLS = 24;
/** Where there is no terminal, a line at most so often. */
const LINE_EVERY_MS = 10_000;
/** Under this much done, the clock says nothing yet. */
const TRUSTED_MS = 3_000;

/** `1 min 20 s`, `45 s`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 10 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
}

/** Milliseconds that are left, by estimate and clock. */
export function remainingMs(totalMs: number, doneMs: number, elapsedMs: number): number {
  const left = Math.max(0, totalMs - doneMs);
  return doneMs < TRUSTED_MS ? left : left * (elapsedMs / doneMs);
}

export class Progress {
  #totalMs: number;
  #doneMs = 0;
  #lastLineMs = Number.NEGATIVE_INFINITY;
  readonly #beganMs: number;
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #isSilent: boolean;

  /** `totalMs`: the estimate for everything. */
  constructor(totalMs: number, isSilent: boolean) {
    this.#totalMs = totalMs;
    this.#isSilent = isSilent;
    this.#beganMs = performance.now();
  }

  /** What happens now. */
  show(text: string): void {
    if (this.#isSilent) return;
    const now = performance.now();
    if (!this.#isTerminal && now - this.#lastLineMs < LINE_EVERY_MS) return;
    this.#lastLineMs = now;
    const share = this.#totalMs === 0 ? 1 : Math.min(1, this.#doneMs / this.#totalMs);
    const cells = Math.round(share * BAR_CELLS);
    const left = formatDuration(remainingMs(this.#totalMs, this.#doneMs, now - this.#beganMs));
    const line = `[${"#".repeat(cells)}${".".repeat(BAR_CELLS - cells)}] ${Math.round(share * 100)} %, about ${left} left: ${text}`;
    process.stderr.write(this.#isTerminal ? `\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}` : `${line}\n`);
  }

  /** So much of the estimate is done. */
  advance(ms: number): void {
    this.#doneMs += ms;
  }

  /** So much of the estimate will not be needed. */
  drop(ms: number): void {
    this.#totalMs -= ms;
  }

  end(): void {
    if (!this.#isSilent && this.#isTerminal) process.stderr.write("\r\x1b[K");
  }
}

/** What happens now, where nobody knows how long it will take. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else process.stderr.write(`${text}\n`);
}
