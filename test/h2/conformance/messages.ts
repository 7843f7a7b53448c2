// Conformance, groups "http2" and "hpack": malformed messages (RFC 9113 8) and header blocks that cannot be decoded (RFC 7541).

import { data, ErrorCode, headers, pushPromise } from "../../support/h2-frames.ts";
import { block, type Fields, indexed, literal, stringLiteral, tableSizeUpdate, TABLE_BYTES_DEFAULT } from "../../support/h2-hpack.ts";
import { Setting } from "../../support/h2-frames.ts";
import { EOS, huffmanBits } from "../../support/h2-huffman.ts";
import { type Case, cases, type Talk } from "./case.ts";

const { COMPRESSION_ERROR, PROTOCOL_ERROR } = ErrorCode;

type Row = readonly [title: string, run: (talk: Talk) => Promise<void>];

/** A GET with these fields is malformed (RFC 9113 8.1.1). */
function malformed(title: string, fieldsOf: (talk: Talk) => Fields): Row {
  return [title, (talk) => talk.send(headers(1, block(fieldsOf(talk)), { endStream: true })).streamError(PROTOCOL_ERROR)];
}

function without(name: string): Row {
  return malformed(`refuses a request without ${name}`, (talk) => talk.fields().filter(([field]) => field !== name));
}

function twice(name: string): Row {
  return malformed(`refuses a request with two ${name}`, (talk) => {
    const fields = talk.fields();
    return [...fields, fields.find(([field]) => field === name)!];
  });
}

/** A POST whose second HEADERS frame makes it malformed. */
function badTrailers(title: string, trailers: Fields, endStream: boolean): Row {
  return [title, (talk) => talk.send(talk.post(), data(1, "test"), headers(1, block(trailers), { endStream })).streamError(PROTOCOL_ERROR)];
}

function badLength(title: string, length: string, ...pieces: string[]): Row {
  return [
    title,
    (talk) =>
      talk
        .send(
          talk.post(1, ["content-length", length]),
          ...pieces.map((piece, index) => data(1, piece, { endStream: index === pieces.length - 1 })),
        )
        .streamError(PROTOCOL_ERROR),
  ];
}

export function messageCases(): Case[] {
  return [
    ...cases("http2", "8.1", "RFC 9113 8.1", badTrailers("refuses a second HEADERS frame without END_STREAM", [["x-test", "ok"]], false)),
    ...cases(
      "http2",
      "8.1.2",
      "RFC 9113 8.2.1",
      malformed("refuses a field name with capitals", (talk) => talk.fields("GET", ["X-TEST", "ok"])),
    ),
    ...cases(
      "http2",
      "8.1.2.1",
      "RFC 9113 8.3",
      malformed("refuses an unknown pseudo-header", (talk) => talk.fields("GET", [":test", "ok"])),
      malformed("refuses a pseudo-header of responses", (talk) => talk.fields("GET", [":status", "200"])),
      badTrailers("refuses a pseudo-header in a second HEADERS frame", [[":method", "POST"]], false),
      malformed("refuses a pseudo-header behind a field", (talk) => [["x-test", "ok"], ...talk.fields()]),
    ),
    ...cases(
      "http2",
      "8.1.2.2",
      "RFC 9113 8.2.2",
      malformed("refuses a field of the connection", (talk) => talk.fields("GET", ["connection", "keep-alive"])),
      malformed("refuses TE with anything but trailers", (talk) => talk.fields("GET", ["te", "trailers, deflate"])),
    ),
    ...cases(
      "http2",
      "8.1.2.3",
      "RFC 9113 8.3.1",
      malformed("refuses an empty :path", (talk) => talk.fields().map(([name, value]) => [name, name === ":path" ? "" : value])),
      without(":method"),
      without(":scheme"),
      without(":path"),
      twice(":method"),
      twice(":scheme"),
      twice(":path"),
    ),
    ...cases(
      "http2",
      "8.1.2.6",
      "RFC 9113 8.1.1",
      badLength("refuses a body longer than its Content-Length", "1", "test"),
      badLength("refuses a body of several frames shorter than its Content-Length", "9", "test", "test"),
    ),
    ...cases("http2", "8.2", "RFC 9113 8.4", [
      "closes on PUSH_PROMISE of a client",
      (talk) => talk.send(talk.post(), pushPromise(1, 3, block(talk.fields()))).connectionError(PROTOCOL_ERROR),
    ]),
  ];
}

/** A block with this behind (or before) good fields is a decoding error: the connection ends (RFC 9113 4.3). */
function undecodable(title: string, bytes: Buffer | ((talk: Talk) => Buffer), isFirst = false): Row {
  return [
    title,
    (talk) => {
      const bad = typeof bytes === "function" ? bytes(talk) : bytes;
      const good = block(talk.fields());
      const parts = isFirst ? [bad, good] : [good, bad];
      return talk.send(headers(1, Buffer.concat(parts), { endStream: true })).connectionError(COMPRESSION_ERROR);
    },
  ];
}

/** `x-test` with a Huffman coded value of these octets. */
function huffmanField(value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0]), stringLiteral("x-test", true), Buffer.from([0x80 | value.length]), value]);
}

const SYMBOLS = [...Buffer.from("test")];

export function hpackCases(): Case[] {
  return [
    ...cases(
      "hpack",
      "2.3.3",
      "RFC 7541 2.3.3",
      undecodable("closes on an index behind both tables", indexed(70)),
      undecodable("closes on a literal whose name's index is behind both tables", literal("with incremental indexing", 70, "value")),
    ),
    ...cases("hpack", "4.2", "RFC 7541 4.2", undecodable("closes on a size update at the end of a block", tableSizeUpdate(1))),
    ...cases(
      "hpack",
      "5.2",
      "RFC 7541 5.2",
      undecodable(
        "closes on Huffman padding of more than 7 bits",
        huffmanField(Buffer.concat([huffmanBits(SYMBOLS), Buffer.from([0xff])])),
      ),
      undecodable("closes on Huffman padding with zeros", huffmanField(huffmanBits(SYMBOLS, "0"))),
      undecodable("closes on the EOS symbol in a string", huffmanField(huffmanBits([EOS, ...SYMBOLS]))),
    ),
    ...cases("hpack", "6.1", "RFC 7541 6.1", undecodable("closes on index 0", indexed(0))),
    ...cases(
      "hpack",
      "6.3",
      "RFC 7541 6.3",
      undecodable(
        "closes on a table beyond SETTINGS_HEADER_TABLE_SIZE",
        (talk) => tableSizeUpdate((talk.peer.remoteSettings.get(Setting.HEADER_TABLE_SIZE) ?? TABLE_BYTES_DEFAULT) + 1),
        true,
      ),
    ),
  ];
}
