// Draws lines on a terminal in place: each picture replaces the previous one. The cursor is hidden meanwhile.

const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";
const CLEAR_BELOW = "\x1b[0J";

export class Screen {
  readonly #out: NodeJS.WriteStream;
  #height = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    out.write(HIDE_CURSOR);
  }

  /** Replaces what was drawn before. Lines are cut at the terminal's width: a wrapped line would break the count. */
  draw(lines: readonly string[]): void {
    const width = Math.max(this.#out.columns ?? 80, 20);
    const up = this.#height === 0 ? "" : `\x1b[${this.#height}A`;
    this.#out.write(`${up}\r${CLEAR_BELOW}${lines.map((line) => line.slice(0, width - 1)).join("\n")}\n`);
    this.#height = lines.length;
  }

  /** Leaves the last picture and gives the cursor back. */
  close(): void {
    this.#out.write(SHOW_CURSOR);
  }
}
