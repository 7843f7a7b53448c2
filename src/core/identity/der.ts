// Reads DER (ITU-T X.690): tag, length, value, and nothing that could be read in two ways.
//
// Refused: indefinite lengths, lengths in more bytes than they need, tags above 30, values that reach beyond what is around them. A
// reader that met one of these says `isOk` false for good and gives empty values from there on, so that callers ask once, at the end.

/** Content of more bytes than this is none of a certificate's. */
const LENGTH_MAX = 0xff_ffff;

export class DerReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;
  /** Shared by a reader and all that came out of it. */
  readonly #state: { isOk: boolean };

  constructor(bytes: Uint8Array, at = 0, end = bytes.length, state = { isOk: true }) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.#state = state;
  }

  get isOk(): boolean {
    return this.#state.isOk;
  }

  get isEmpty(): boolean {
    return this.at >= this.end || !this.isOk;
  }

  /** The tag of the next value; 0 at the end. */
  get tag(): number {
    return this.isEmpty ? 0 : this.bytes[this.at]!;
  }

  /** The content of the next value, which must have this tag. */
  read(tag: number): DerReader {
    return this.tag === tag ? this.next() : this.#fail();
  }

  /** The content of the next value if it has this tag, else null and nothing is read. */
  optional(tag: number): DerReader | null {
    return this.tag === tag ? this.next() : null;
  }

  /** The content of the next value, whatever it is. */
  next(): DerReader {
    if (this.end - this.at < 2 || !this.isOk || (this.bytes[this.at]! & 0x1f) === 0x1f) return this.#fail();
    let length = this.bytes[this.at + 1]!;
    let from = this.at + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 3 || this.end - from < count) return this.#fail();
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + this.bytes[from++]!;
      const isMinimal = length >= 0x80 && length >= 2 ** (8 * (count - 1));
      if (!isMinimal || length > LENGTH_MAX) return this.#fail();
    }
    if (this.end - from < length) return this.#fail();
    this.at = from + length;
    return new DerReader(this.bytes, from, from + length, this.#state);
  }

  /** Says that what was read is not what it should be. */
  refuse(): void {
    this.#state.isOk = false;
  }

  #fail(): DerReader {
    this.refuse();
    return new DerReader(this.bytes, this.end, this.end, this.#state);
  }

  /** The rest in hexadecimal. */
  hex(): string {
    let text = "";
    for (let i = this.at; i < this.end; i++) text += this.bytes[i]!.toString(16).padStart(2, "0");
    return text;
  }

  /** The rest as Latin-1: no byte becomes another character's. */
  text(): string {
    let text = "";
    for (let i = this.at; i < this.end; i++) text += String.fromCharCode(this.bytes[i]!);
    return text;
  }
}
