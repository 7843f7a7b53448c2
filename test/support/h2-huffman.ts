// The Huffman code of HPACK (RFC 7541 5.2 and Appendix B) for tests: slow and obvious.
//
// The code is canonical: symbols in order of length, then of value, get consecutive codes. So the lengths alone say it all. The
// decoder refuses what the RFC refuses: padding of more than seven bits, padding with anything but ones, the EOS symbol.

/** Symbols by the length of their code in bits; 256 is EOS. */
const SYMBOLS_BY_BITS: Readonly<Record<number, string>> = {
  5: "48-50 97 99 101 105 111 115-116",
  6: "32 37 45-47 51-57 61 65 95 98 100 102-104 108-110 112 114 117",
  7: "58 66-87 89 106-107 113 118-122",
  8: "38 42 44 59 88 90",
  10: "33-34 40-41 63",
  11: "39 43 124",
  12: "35 62",
  13: "0 36 64 91 93 126",
  14: "94 125",
  15: "60 96 123",
  19: "92 195 208",
  20: "128 130-131 162 184 194 224 226",
  21: "153 161 167 172 176-177 179 209 216-217 227 229-230",
  22: "129 132-134 136 146 154 156 160 163-164 169-170 173 178 181 185-187 189-190 196 198 228 232-233",
  23: "1 135 137-141 143 147 149-152 155 157-158 165-166 168 174-175 180 182-183 188 191 197 231 239",
  24: "9 142 144-145 148 159 171 206 215 225 236-237",
  25: "199 207 234-235",
  26: "192-193 200-202 205 210 213 218-219 238 240 242-243 255",
  27: "203-204 211-212 214 221-223 241 244-248 250-254",
  28: "2-8 11-12 14-21 23-31 127 220 249",
  30: "10 13 22 256",
};

const BITS_MAX = 30;
export const EOS = 256;

/** Codes as text of zeros and ones, by symbol; and back. */
const codes = new Map<number, string>();
const symbols = new Map<string, number>();

function fillTables(): void {
  let code = 0;
  for (let bits = 1; bits <= BITS_MAX; bits++) {
    code *= 2;
    for (const range of SYMBOLS_BY_BITS[bits]?.split(" ") ?? []) {
      const [first, last = first] = range.split("-").map(Number);
      for (let symbol = first!; symbol <= last!; symbol++) {
        const text = code.toString(2).padStart(bits, "0");
        codes.set(symbol, text);
        symbols.set(text, symbol);
        code += 1;
      }
    }
  }
}

fillTables();

/** Codes of these symbols one after the other, filled up to whole octets with `pad` bits (ones, unless a test wants it wrong). */
export function huffmanBits(all: readonly number[], pad = "1"): Buffer {
  let bits = all.map((symbol) => codes.get(symbol)!).join("");
  while (bits.length % 8 !== 0) bits += pad;
  return Buffer.from(bits.match(/.{8}/g)?.map((octet) => Number.parseInt(octet, 2)) ?? []);
}

export function huffmanEncode(text: string): Buffer {
  return huffmanBits([...Buffer.from(text, "latin1")]);
}

export function huffmanDecode(bytes: Buffer): string {
  const decoded: number[] = [];
  let pending = "";
  for (const octet of bytes) {
    for (const bit of octet.toString(2).padStart(8, "0")) {
      pending += bit;
      const symbol = symbols.get(pending);
      if (symbol === undefined) continue;
      if (symbol === EOS) throw new Error("the EOS symbol inside of a string (RFC 7541 5.2)");
      decoded.push(symbol);
      pending = "";
    }
  }
  if (pending.length > 7) throw new Error("padding of more than seven bits (RFC 7541 5.2)");
  if (pending.includes("0")) throw new Error("padding that is not all ones (RFC 7541 5.2)");
  return Buffer.from(decoded).toString("latin1");
}
