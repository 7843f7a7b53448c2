// The report as markdown: every table, and links to the pictures where they are written beside it.

import type { ReportDocument, Section } from "./document.ts";
import { markdownTable, markdownText } from "./table.ts";

const MARKS = { plain: "", warn: "**Careful:** ", fail: "**Does not count:** " } as const;

function sectionText(section: Section, pictures: string | null): string {
  const parts = section.blocks.flatMap((block) => {
    if (block.kind === "table") return [markdownTable(block)];
    if (block.kind === "remark") return [`- ${MARKS[block.state]}${markdownText(block.text)}`];
    return pictures === null ? [] : [`![${markdownText(block.description)}](${pictures}${block.id}.svg)`];
  });
  return [`## ${markdownText(section.title)}`, ...(section.text === null ? [] : [markdownText(section.text)]), ...parts].join("\n\n");
}

/** `pictures`: what stands before the name of a picture's file, such as `pictures/`; null: none are linked. */
export function markdownReport(document: ReportDocument, pictures: string | null): string {
  const facts = document.facts.map(([name, value]) => `- ${name}: ${name === "command" ? `\`${value}\`` : markdownText(value)}`).join("\n");
  const sections = document.sections.map((section) => sectionText(section, pictures));
  return `${[`# ${markdownText(document.title)}`, facts, ...sections].join("\n\n")}\n`
    .replaceAll("\u00a0", " ")
    .replaceAll(/(^- .*)\n\n(?=- )/gm, "$1\n");
}
