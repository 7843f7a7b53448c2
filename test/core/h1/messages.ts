// Arbitrary HTTP/1 messages for property tests: valid ones, and valid ones with something done to them.

import { Buffer } from "node:buffer";
import fc from "fast-check";
import { bytesOf } from "./feed.ts";

const TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function textOf(characters: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });
}

export const token = textOf(TOKEN, 1, 24);

/** Names of no consequence: none that Weft or Node draws conclusions from. */
const plainName = token.map((name) => `X-${name}`);

const valueChar = fc.integer({ min: 0x21, max: 0xff }).filter((byte) => byte !== 0x7f);
const value = fc
  .array(fc.oneof({ weight: 8, arbitrary: valueChar }, { weight: 1, arbitrary: fc.constantFrom(0x20, 0x09) }), { maxLength: 60 })
  .map((bytes) => String.fromCharCode(...bytes).replace(/^[ \t]+|[ \t]+$/g, ""));

const space = fc.constantFrom("", " ", "\t", "  \t ");

const plainField = fc.tuple(plainName, space, value, space).map(([name, before, text, behind]) => `${name}:${before}${text}${behind}\r\n`);

export const host = fc.constantFrom("a", "web.shop", "web:8080", "127.0.0.1:1", "[::1]:80", "");

const specialField = fc.constantFrom(
  "Connection: keep-alive\r\n",
  "Connection: X-a, keep-alive\r\n",
  "Keep-Alive: timeout=5\r\n",
  "TE: trailers\r\n",
  "l5d-dst-override: x\r\n",
  "l5d_proxy_error: x\r\n",
  "Proxy-Connection: x\r\n",
  "Date: Mon, 05 Oct 2026 10:00:00 GMT\r\n",
  "Via: 1.1 x\r\n",
  "X-Forwarded-For: 10.1.2.3\r\n",
  "x-a: 1\r\n",
);

const pathText = textOf("abc/%2F.-_~!$&'()*+,;=:@?0123456789", 0, 40);

export const target = fc.oneof(
  { weight: 4, arbitrary: pathText.map((path) => `/${path}`) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        host.filter((text) => text !== ""),
        pathText,
      )
      .map(([name, path]) => `http://${name}/${path}`),
  },
);

const method = fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH");

const requestFraming = fc.constantFrom("", "Content-Length: 0\r\n", "Content-Length: 12\r\n", "Transfer-Encoding: chunked\r\n");

/** A valid request head as text. */
export const requestHead = fc
  .tuple(
    fc.tuple(method, target, fc.constantFrom("1.1", "1.0")),
    host,
    fc.array(fc.oneof({ weight: 3, arbitrary: plainField }, { weight: 1, arbitrary: specialField }), { maxLength: 12 }),
    requestFraming,
    fc.nat(),
  )
  .map(([[name, path, version], hostText, fields, framing, at]) => {
    const lines = [...fields];
    const coded = version === "1.0" && framing.startsWith("T") ? "" : framing;
    lines.splice(at % (lines.length + 1), 0, `Host: ${hostText}\r\n`);
    lines.splice(at % (lines.length + 1), 0, coded);
    return `${name} ${path} HTTP/${version}\r\n${lines.join("")}\r\n`;
  });

/** A valid response head as text. */
export const responseHead = fc
  .tuple(
    fc.constantFrom("1.1", "1.0"),
    fc.constantFrom(200, 201, 304, 404, 500),
    fc.oneof(
      fc.constant(""),
      value.map((text) => ` ${text}`),
    ),
    fc.array(fc.oneof({ weight: 3, arbitrary: plainField }, { weight: 1, arbitrary: specialField }), { maxLength: 12 }),
    fc.constantFrom("", "Content-Length: 5\r\n"),
  )
  .map(([version, status, reason, fields, framing]) => `HTTP/${version} ${status}${reason}\r\n${fields.join("")}${framing}\r\n`);

const ATTACKS = ["\r", "\n", "\r\n", "\0", " ", "\t", ":", ",", ";", "\x7f", "\xff", "#", "@", "\r\n ", "\r\n\r\n"].concat([
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Host: b\r\n",
  "Connection: content-length\r\n",
  "Expect: 100-continue\r\n",
]);

/** Text with up to three places where something was put in, taken out or changed. */
export function damaged(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.tuple(
    fc.nat(),
    fc.oneof(
      fc.constantFrom(...ATTACKS),
      fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
    ),
    fc.nat(3),
  );
  return fc.tuple(text, fc.array(change, { maxLength: 3 })).map(([message, changes]) => {
    let result = message;
    for (const [at, insert, removed] of changes) {
      const place = at % (result.length + 1);
      result = result.slice(0, place) + insert + result.slice(place + (removed === 3 ? 0 : removed));
    }
    return result;
  });
}

/** Ends of pieces, ascending, of a message of so many bytes. */
export function splits(size: number, seeds: readonly number[]): number[] {
  return seeds.map((seed) => seed % (size + 1)).sort((a, b) => a - b);
}

export const splitSeeds = fc.array(fc.nat(), { maxLength: 8 });

const hexDigits = (size: number, zeros: number, upper: boolean) => {
  const text = size.toString(16);
  return "0".repeat(Math.min(zeros, 8 - text.length)) + (upper ? text.toUpperCase() : text);
};

const extension = fc.oneof(
  { weight: 3, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: token.map((name) => `;${name}`) },
  { weight: 1, arbitrary: fc.tuple(token, token).map(([name, text]) => `;${name}=${text}`) },
  { weight: 1, arbitrary: token.map((name) => `;${name}="a \\" ;b"`) },
);

const chunk = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 70 }), fc.nat(7), fc.boolean(), extension);

/** A valid chunked body: its bytes, and the payload and trailers that it means. */
export const chunkedBody = fc
  .tuple(fc.array(chunk, { maxLength: 8 }), extension, fc.array(fc.tuple(plainName, value), { maxLength: 3 }))
  .map(([chunks, lastExtension, trailers]) => {
    const parts = chunks.map(([data, zeros, upper, ext]) =>
      Buffer.concat([bytesOf(`${hexDigits(data.length, zeros, upper)}${ext}\r\n`), data, bytesOf("\r\n")]),
    );
    const lines = trailers.map(([name, text]) => `${name}: ${text}\r\n`).join("");
    return {
      bytes: Buffer.concat([...parts, bytesOf(`0${lastExtension}\r\n${lines}\r\n`)]),
      payload: Buffer.concat(chunks.map(([data]) => Buffer.from(data))).toString("latin1"),
      trailers: lines,
    };
  });
