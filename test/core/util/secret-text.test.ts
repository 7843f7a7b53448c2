// What is a secret by its look, and what is not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { contentKind, withoutSecrets } from "../../../src/core/util/secret-text.ts";

const HEADER = "eyJhbGciOiJIUzI1NiJ9";
const CLAIMS = "eyJzdWIiOiJ3ZWIifQ";
const JWT = `${HEADER}.${CLAIMS}.c2lnbmF0dXJl`;
const PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIA==\nAwEHoUQD\n-----END EC PRIVATE KEY-----\n";

test("tokens, keys and certificates are told from paths", () => {
  for (const [text, kind] of [
    [JWT, "token"],
    [`Bearer ${JWT}`, "token"],
    [`./${JWT}`, "token"],
    [`${HEADER}.${CLAIMS}.`, "token"],
    [`${JWT.slice(0, 15)}\n ${JWT.slice(15, 40)}\r\n${JWT.slice(40)}\n`, "token"],
    [PEM, "private key"],
    [PEM.replaceAll("\n", " "), "private key"],
    ["-----BEGIN CERTIFICATE-----\nMIIB", "certificate"],
    ["/run/secrets/token", null],
    ["eyJ.token", null],
    ["eyJudas.token.old", null],
    ["/etc/heyJude-and-all-the-other-songs.backup-of-them", null],
    [HEADER, null],
    ["", null],
  ] as const) {
    assert.equal(contentKind(text), kind, text);
  }
});

test("a text keeps all but the secrets in it", () => {
  for (const [text, shown] of [
    [`x is "${JWT}": no; did you mean ${JWT}:80?`, 'x is "(hidden)": no; did you mean (hidden):80?'],
    [`x is "${JWT.slice(0, 22)}..., and`, 'x is "(hidden), and'],
    [`x is "${JWT.slice(0, 20)}..., and`, 'x is "(hidden), and'],
    [`x is ${JSON.stringify(PEM)}, and`, 'x is "(hidden)", and'],
    [`x is ${PEM}`, "x is (hidden)"],
    [`x is ${JSON.stringify(PEM).slice(0, 50)}...`, 'x is "(hidden)...'],
    ["it must have a line -----BEGIN PRIVATE KEY-----", "it must have a line -----BEGIN PRIVATE KEY-----"],
    ["web.shop.serviceaccount.identity.weft.cluster.local", "web.shop.serviceaccount.identity.weft.cluster.local"],
    ["heyJude-and-all-the-other-songs.yaml", "heyJude-and-all-the-other-songs.yaml"],
  ] as const) {
    assert.equal(withoutSecrets(text), shown);
  }
});
