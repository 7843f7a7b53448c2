// Makes hostile HTTP/1 out of valid HTTP/1: by bytes, by lines, by fields, by numbers, by mixing messages.
//
// Purely random bytes never get past the first word of a parser. So a run begins with a case of the corpus or with generated
// messages, and changes a few things about them; often none, so that what is accepted is tried as much as what is refused.

import { Buffer } from "node:buffer";
import type { Random } from "./random.ts";

const BYTES = [
  0x00, 0x01, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1b, 0x20, 0x22, 0x23, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x35, 0x39, 0x3a,
].concat([0x3b, 0x3d, 0x3f, 0x40, 0x41, 0x46, 0x47, 0x5b, 0x5c, 0x5d, 0x5f, 0x61, 0x66, 0x67, 0x7e, 0x7f, 0x80, 0x85, 0xa0, 0xad, 0xff]);

const LINES = [
  "Content-Length: 5",
  "Content-Length: 0",
  "content-length: 5",
  "Content-Length: 5, 5",
  "Content-Length: +5",
  "Content-Length : 5",
  "Content-Length: 18446744073709551621",
  "Transfer-Encoding: chunked",
  "transfer-encoding: CHUNKED",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding:\tchunked\t",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding",
  "Host: web",
  "Host: other:81",
  "Host: a b",
  "Host:",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: Upgrade",
  "Connection: X-A, te, , close",
  "Connection: content-length",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "HTTP2-Settings: AAMAAABk",
  "Expect: 100-continue",
  "Expect: y",
  "TE: trailers",
  "TE: gzip",
  "Trailer: X-T",
  "Keep-Alive: timeout=5",
  "l5d-client-id: admin",
  "L5D_Dst_Override: evil",
  "X-A: 1",
  "X_A: 1",
  "X-B:",
  ": empty",
  " folded",
  "\tfolded",
  "X-Long: " + "a".repeat(300),
  "GET /smuggled HTTP/1.1",
];

const WORDS = [
  "GET",
  "POST",
  "HEAD",
  "OPTIONS",
  "CONNECT",
  "/",
  "*",
  "http://web/a",
  "https://web/",
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/1.2",
  "chunked",
  "0",
  "5",
].concat([
  "0005",
  "ffffffff",
  "100000005",
  "0x5",
  "5;a=b",
  '5;a="b"',
  "close",
  "keep-alive",
  "upgrade",
  "100-continue",
  "web",
  "[::1]:80",
  "\r\n",
  "\r\n\r\n",
  "\n",
  "\r",
  "0\r\n\r\n",
]);

const METHODS = ["GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "PURGE", "FROB"];
const TARGETS = ["/", "/a", "/a/b?c=d&e", "//a/../b", "http://web/x", "http://web:8080", "http://web?q", "/%41;b=c", "/a[b]{c}|d"];
const FIELDS = [
  "X-A: 1",
  "x-b:2",
  "X-C:\t a b\t",
  "Accept: */*",
  "Cookie: a=b; c=d",
  "X-D:",
  "Connection: keep-alive",
  "Connection: X-A",
  "TE: trailers",
  "l5d-client-id: x",
].concat([
  "Via: 1.1 x",
  "X-Forwarded-For: 1.2.3.4",
  "Keep-Alive: 5",
  "X-E: \xfc\x80",
  "Proxy-Connection: close",
  "Trailer: X-T",
  "Date: x",
]);

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");

/** A chunked body, mostly valid. */
export function chunkedBody(random: Random): Buffer {
  let text = "";
  for (let i = random.int(5); i > 0; i--) {
    const data = random.chance(4) ? random.pick(WORDS) : "abcdefghijklmnopqrstuvwxyz".repeat(2).slice(0, 1 + random.int(40));
    let size = data.length.toString(16);
    if (random.chance(3)) size = size.toUpperCase();
    if (random.chance(4)) size = size.padStart(1 + random.int(8), "0");
    if (random.chance(5)) size += random.pick([";a", ";a=b", ';a="b;c"', ";a=b;c=d", "; a", ";"]);
    text += `${size}\r\n${data}\r\n`;
  }
  text += `${"0".repeat(random.chance(4) ? 1 + random.int(8) : 1)}${random.chance(8) ? ";x=y" : ""}\r\n`;
  for (let i = random.chance(3) ? random.int(4) : 0; i > 0; i--)
    text += `${random.pick(["X-T: 1", "x-t2:", "Content-Length: 5", "Host: evil", "X-U: a b"])}\r\n`;
  return latin1(`${text}\r\n`);
}

function framedBody(random: Random): { fields: string[]; body: Buffer } {
  switch (random.int(4)) {
    case 0:
      return { fields: ["Transfer-Encoding: chunked"], body: chunkedBody(random) };
    case 1: {
      const body = random.chance(3) ? latin1(random.pick(WORDS)) : random.bytes(random.int(60));
      return { fields: [`Content-Length: ${body.length}`], body };
    }
    default:
      return { fields: [], body: Buffer.alloc(0) };
  }
}

/** The fields in some order. */
function shuffled(random: Random, fields: string[]): string[] {
  for (let i = fields.length - 1; i > 0; i--) {
    const j = random.int(i + 1);
    [fields[i], fields[j]] = [fields[j]!, fields[i]!];
  }
  return fields;
}

/** One to four valid requests on one connection. */
export function validRequests(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let i = 1 + random.int(4); i > 0; i--) {
    const { fields, body } = framedBody(random);
    if (random.chance(6) && body.length > 0) fields.push("Expect: 100-continue");
    if (random.chance(8) && body.length === 0) fields.push("Connection: Upgrade", "Upgrade: websocket");
    for (let n = random.int(5); n > 0; n--) fields.push(random.pick(FIELDS));
    const isChunked = fields.includes("Transfer-Encoding: chunked");
    const version = random.chance(6) && !isChunked ? "HTTP/1.0" : "HTTP/1.1";
    fields.push(`Host: ${random.pick(["web", "web:8080", "[::1]", "127.0.0.1:1"])}`);
    const lines = [`${random.pick(METHODS)} ${random.pick(TARGETS)} ${version}`, ...shuffled(random, fields)];
    parts.push(latin1(`${lines.join("\r\n")}\r\n\r\n`), body);
  }
  return Buffer.concat(parts);
}

/** A valid response, now and then behind an informational one. */
export function validResponse(random: Random): Buffer {
  const { fields, body } = framedBody(random);
  for (let n = random.int(5); n > 0; n--) fields.push(random.pick(FIELDS));
  const status = random.pick([200, 200, 200, 404, 304, 204, 206, 500, 101, 799]);
  const bodiless = status === 204 || status === 304 || status === 101;
  const lines = [
    `HTTP/1.${random.chance(6) ? 0 : 1} ${status}${random.pick([" OK", " ", "", " Not \xfc"])}`,
    ...shuffled(random, bodiless ? [] : fields),
  ];
  const informational = random.chance(5) ? "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" : "";
  return Buffer.concat([latin1(`${informational}${lines.join("\r\n")}\r\n\r\n`), bodiless ? Buffer.alloc(0) : body]);
}

function splice(bytes: Buffer, at: number, remove: number, insert: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}

/** Start of a random line, and the start of the one behind it. */
function lineAt(bytes: Buffer, random: Random): [number, number] {
  const starts = [0];
  for (let at = bytes.indexOf("\r\n"); at >= 0 && at + 2 < bytes.length; at = bytes.indexOf("\r\n", at + 2)) starts.push(at + 2);
  const index = random.int(starts.length);
  return [starts[index]!, starts[index + 1] ?? bytes.length];
}

type Mutation = (bytes: Buffer, random: Random, other: () => Buffer) => Buffer;

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => splice(bytes, random.int(bytes.length + 1), 0, Buffer.from([random.pick(BYTES)])),
  (bytes, random) => splice(bytes, random.int(bytes.length), 1, Buffer.from([random.pick(BYTES)])),
  (bytes, random) => splice(bytes, random.int(bytes.length), 1 + random.int(3), Buffer.alloc(0)),
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    if (copy.length > 0) copy[random.int(copy.length)]! ^= 1 << random.int(8);
    return copy;
  },
  (bytes, random) => splice(bytes, lineAt(bytes, random)[0], 0, latin1(`${random.pick(LINES)}\r\n`)),
  (bytes, random) =>
    splice(bytes, lineAt(bytes, random)[0], 0, latin1(`${random.pick(LINES)}${random.pick(["\n", "\r", "\r\r\n", "\r\n"])}`)),
  (bytes, random) => {
    const [start, end] = lineAt(bytes, random);
    return splice(bytes, start, end - start, Buffer.alloc(0));
  },
  (bytes, random) => {
    const [start, end] = lineAt(bytes, random);
    return splice(bytes, lineAt(bytes, random)[0], 0, bytes.subarray(start, end));
  },
  (bytes, random) => {
    const [start, end] = lineAt(bytes, random);
    return splice(bytes, start, Math.max(end - start - 2, 0), latin1(random.pick(LINES)));
  },
  (bytes, random) => splice(bytes, random.int(bytes.length + 1), random.int(6), latin1(random.pick(WORDS))),
  (bytes, random) => {
    const digits = [...bytes.keys()].filter((i) => bytes[i]! >= 0x30 && bytes[i]! <= 0x39);
    return digits.length === 0
      ? bytes
      : splice(bytes, random.pick(digits), 1, latin1(random.pick(["0", "1", "9", "a", "F", "-", "", "00", "5"])));
  },
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    for (let i = 0; i < copy.length; i++) if (/[a-z]/i.test(String.fromCharCode(copy[i]!)) && random.chance(4)) copy[i]! ^= 0x20;
    return copy;
  },
  (bytes, random) => bytes.subarray(0, random.int(bytes.length + 1)),
  (bytes, random, other) => {
    const tail = other();
    return Buffer.concat([bytes.subarray(0, random.int(bytes.length + 1)), tail.subarray(random.int(tail.length + 1))]);
  },
  (bytes, _random, other) => Buffer.concat([bytes, other()]),
  (bytes, random) => {
    const at = random.int(bytes.length);
    return splice(bytes, at, 0, bytes.subarray(at, at + random.int(40)));
  },
];

/** Bytes above it say nothing new and cost time. */
const SIZE_MAX = 8192;

/** Changes a few things, often nothing. `other` gives another input to mix in. */
export function mutate(bytes: Buffer, random: Random, other: () => Buffer): Buffer {
  let mutated = bytes;
  for (let n = random.pick([0, 0, 1, 1, 1, 2, 3, 6]); n > 0; n--) mutated = random.pick(MUTATIONS)(mutated, random, other);
  return mutated.subarray(0, SIZE_MAX);
}
