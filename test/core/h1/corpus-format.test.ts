// The corpus's own format: what a case means, and that a mistake in one is an error and not a case that proves nothing.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { type CorpusCase, CorpusError, escapeBytes, parseCorpus, parseEscapes } from "../../support/corpus.ts";

const REQUEST = "```request\nGET / HTTP/1.1\\r\\n\nHost: web\\r\\n\n\\r\\n\n```\n";

function one(text: string): CorpusCase {
  const cases = parseCorpus("sample.md", text);
  assert.equal(cases.length, 1);
  return cases[0]!;
}

function refuses(name: string, text: string, message: RegExp): void {
  it(`refuses ${name}`, () => {
    assert.throws(
      () => parseCorpus("sample.md", text),
      (error: Error) => error instanceof CorpusError && message.test(error.message) && /^sample\.md:\d+: /.test(error.message),
    );
  });
}

describe("the corpus's format", () => {
  it("joins lines without breaks and reads the escapes", () => {
    assert.deepEqual(parseEscapes("a\\r\\n\\t\\\\\\x00\\xfF"), Buffer.from("a\r\n\t\\\0\xff", "latin1"));
    assert.equal(parseEscapes("<\\(ab\\r*3)>").toString("latin1"), "<ab\rab\rab\r>");
    assert.equal(
      one(`## A (x)\n${REQUEST}\`\`\`expect\naccept GET / web\n\`\`\`\n`).request.toString(),
      "GET / HTTP/1.1\r\nHost: web\r\n\r\n",
    );
  });

  it("shows bytes in the form that it reads", () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    assert.deepEqual(parseEscapes(escapeBytes(bytes).replaceAll("\n", "")), bytes);
  });

  it("takes the request for what goes on, and nothing of a refused one", () => {
    const accepted = one(`## A (x)\n${REQUEST}\`\`\`expect\naccept GET / web\n\`\`\`\n`);
    assert.deepEqual(accepted.forward, accepted.request);
    const refused = one(`## A (x)\n${REQUEST}\`\`\`expect\nreject 400 WEFT_H1_BAD_HOST\n\`\`\`\n`);
    assert.equal(refused.forward.length, 0);
    assert.deepEqual(refused.reject, { status: 400, codes: ["WEFT_H1_BAD_HOST"], stage: "head", by: "parser" });
  });

  const expecting = (lines: string): string => `## A (x)\n${REQUEST}\`\`\`expect\n${lines}\n\`\`\`\n`;
  refuses("a case without a source", `## A\n${REQUEST}\`\`\`expect\naccept GET / web\n\`\`\`\n`, /source in parentheses/);
  refuses("a case without an expectation", `## A (x)\n${REQUEST}`, /no expect block/);
  refuses("a case that expects nothing", expecting(""), /nothing is expected/);
  refuses("a case without a request", "## A (x)\n```expect\naccept GET / web\n```\n", /no request block/);
  refuses("an unknown fence", "## A (x)\n```requst\n```\n", /unknown fence/);
  refuses("a fence that is not closed", "## A (x)\n```request\nGET\n", /not closed/);
  refuses("two blocks of one kind", `## A (x)\n${REQUEST}${REQUEST}`, /second 'request'/);
  refuses("an unknown key", expecting("accept GET / web\nbodyy none"), /unknown key/);
  refuses("a key before its message", expecting("body none"), /before any accept/);
  refuses("a status that is none", expecting("reject 40 X"), /reject STATUS/);
  refuses("an unknown escape", "## A (x)\n```request\n\\q\n```\n```expect\naccept GET / web\n```\n", /unknown escape/);
  refuses("a trailing space", "## A (x)\n```request\nGET \n```\n", /trailing space/);
  refuses("a character that is not ASCII", "## A (x)\n```request\n\u00a0\n```\n```expect\naccept GET / web\n```\n", /write/);
  refuses("an answer in a request case", expecting("answer 200"), /accept is for requests/);
  refuses("a half-accepted input without a forward block", expecting("accept GET / web\nreject 400 WEFT_H1_BAD_HOST"), /forward block/);
});
