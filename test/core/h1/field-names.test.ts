// Known field names by bytes: all of them, in any case, nothing else.

import assert from "node:assert/strict";
import { it } from "node:test";
import { fieldId } from "../../../src/core/h1/field-names.ts";
import { TOKEN_CHARS } from "../../../src/core/h1/tables.ts";
import { FieldId } from "../../../src/core/http/head.ts";
import { bytesOf } from "./feed.ts";

function idOf(name: string): FieldId {
  const bytes = bytesOf(`xx${name}: `);
  return fieldId(bytes, 2, 2 + name.length);
}

/** `proxyAuthorization` as `proxy-authorization`; the two names with digits by hand. */
function nameOf(key: string): string {
  if (key === "http2Settings") return "http2-settings";
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

for (const [key, id] of Object.entries(FieldId)) {
  if (id === FieldId.other) continue;
  const name = nameOf(key);
  it(`knows ${name} in any case`, () => {
    assert.equal(idOf(name), id);
    assert.equal(idOf(name.toUpperCase()), id);
    assert.equal(idOf(name.replace(/^./, (letter) => letter.toUpperCase())), id);
  });
  it(`does not take names near ${name} for it`, () => {
    for (const other of [`${name}x`, `x${name}`, name.slice(1), name.slice(0, -1)]) assert.notEqual(idOf(other), id, other);
    for (let i = 0; i < name.length; i++) {
      for (const byte of [name.charCodeAt(i) ^ 0x20, name.charCodeAt(i) ^ 1, name.charCodeAt(i) ^ 0x40]) {
        if (TOKEN_CHARS[byte] === 0) continue;
        const other = name.slice(0, i) + String.fromCharCode(byte) + name.slice(i + 1);
        if (other.toLowerCase() !== name) assert.notEqual(idOf(other), id, other);
      }
    }
  });
  if (!name.includes("-")) continue;
  it(`${name.startsWith("l5d") ? "knows" : "does not know"} ${name} with underscores`, () => {
    assert.equal(idOf(name.replaceAll("-", "_")), name.startsWith("l5d") ? id : FieldId.other);
  });
}

it("knows no other common name", () => {
  const names = [
    "accept",
    "accept-encoding",
    "user-agent",
    "cookie",
    "etag",
    "content-type",
    "last-modified",
    "x-forwarded-foo",
    "location",
    "age",
    "a",
  ];
  for (const name of names) assert.equal(idOf(name), FieldId.other, name);
  assert.equal(idOf("x".repeat(5000)), FieldId.other);
});
