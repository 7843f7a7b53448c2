// A DNS server for tests: real messages over UDP on loopback, answers set by the test (RFC 1035 section 4).

import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";

export interface DnsRecord {
  readonly addresses: readonly string[];
  readonly ttlS?: number;
  /** `silent`: no answer at all. Families: what only one of the questions gets. */
  readonly failure?: "nxdomain" | "servfail" | "silent" | { readonly a?: "servfail" | "silent"; readonly aaaa?: "servfail" | "silent" };
}

const TYPE_A = 1;
const TYPE_AAAA = 28;
const RCODE = { servfail: 2, nxdomain: 3 } as const;
const HEADER_BYTES = 12;

export class DnsServer {
  /** Questions in order, as `web.test A`. */
  readonly questions: string[] = [];
  readonly #records = new Map<string, DnsRecord>();
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (message, from) => {
      const answer = this.#answer(message);
      if (answer !== null) socket.send(answer, from.port, from.address);
    });
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    return new DnsServer(socket);
  }

  /** `ip:port`. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** What a name answers from now on; an unknown one is NXDOMAIN. */
  set(name: string, record: DnsRecord): void {
    this.#records.set(name, record);
  }

  /** Questions for A records of a name so far. */
  asked(name: string): number {
    return this.questions.filter((question) => question === `${name} A`).length;
  }

  stop(): void {
    this.#socket.close();
  }

  #answer(query: Buffer): Buffer | null {
    let at = HEADER_BYTES;
    const labels: string[] = [];
    for (let size = query[at]!; size !== 0; size = query[at]!) {
      labels.push(query.toString("latin1", at + 1, at + 1 + size));
      at += size + 1;
    }
    const type = query.readUInt16BE(at + 1);
    const question = query.subarray(HEADER_BYTES, at + 5);
    const name = labels.join(".").toLowerCase();
    this.questions.push(`${name} ${type === TYPE_A ? "A" : type === TYPE_AAAA ? "AAAA" : type}`);
    const record = this.#records.get(name) ?? { addresses: [], failure: "nxdomain" as const };
    const failure = typeof record.failure === "object" ? record.failure[type === TYPE_A ? "a" : "aaaa"] : record.failure;
    if (failure === "silent") return null;
    const matching = failure === undefined ? record.addresses.filter((address) => isIPv6(address) === (type === TYPE_AAAA)) : [];
    const answers = matching.map((address) => resourceRecord(type, record.ttlS ?? 600, addressBytes(address)));
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | (failure === undefined ? 0 : RCODE[failure]), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(answers.length, 6);
    return Buffer.concat([header, question, ...answers]);
  }
}

/** An answer about the question's name, by a pointer to it. */
function resourceRecord(type: number, ttlS: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttlS, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [left, right] = [groups(head), groups(tail)];
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group, index * 2);
  return bytes;
}
